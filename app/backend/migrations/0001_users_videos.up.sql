-- who may log in
create table users (
    -- uuid v7: in the order of registration
    id uuid primary key,
    -- lower case, as the app writes it
    email text not null unique,
    name text not null,
    -- argon2id in its phc string form
    password_hash text not null,
    created_at timestamptz not null default now()
);

-- refresh tokens, each good for one use: using one makes the next of its family
create table refresh_tokens (
    -- sha-256 of the token: a copy of this table lets nobody in
    token_hash bytea primary key,
    -- all that came from one login: using one twice ends them all
    family uuid not null,
    user_id uuid not null references users on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index refresh_tokens_family on refresh_tokens (family);
create index refresh_tokens_user on refresh_tokens (user_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);

create table videos (
    -- uuid v7: the newest first is the primary key backwards
    id uuid primary key,
    owner_id uuid not null references users on delete cascade,
    title text not null,
    description text not null,
    url text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index videos_owner on videos (owner_id);

-- events that are not yet in kafka. a row is written in the transaction of the change that it tells of,
-- and deleted when the broker has it: what is here is what is still owed.
create table outbox (
    -- the order of events of one key: writers of one key hold that key's row lock when they append
    sequence bigint generated always as identity primary key,
    -- the event's own id (uuid v7), by which readers recognise one that came twice
    id uuid not null unique,
    -- kafka's key: events of one key keep their order
    key uuid not null,
    -- the whole envelope as json, published byte for byte
    payload text not null,
    -- w3c trace context of the request that caused it
    traceparent text,
    created_at timestamptz not null default now()
);

-- the relay asks for the oldest event of each key
create index outbox_key_sequence on outbox (key, sequence);

create function outbox_notify() returns trigger language plpgsql as $$
begin
    perform pg_notify('outbox', '');
    return null;
end
$$;

-- the relay sleeps until this wakes it, when the transaction commits
create trigger outbox_notify after insert on outbox for each statement execute function outbox_notify();

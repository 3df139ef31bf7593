use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::model::{Credentials, LONGEST_PASSWORD, Registration, TokenPair, is_email, normal_email};
use crate::http::problem::{FieldError, Problem};
use crate::modules::users::User;
use crate::state::State;

/// What is said of every login that fails: nobody learns which half was wrong.
const WRONG_CREDENTIALS: &str = "The email address or the password is wrong";
const WRONG_REFRESH_TOKEN: &str = "The refresh token is not valid any more; log in again";

/// Makes a user.
pub(super) async fn register(state: &State, registration: Registration) -> Result<User, Problem> {
    let Registration { email, password, name } = registration.checked()?;
    let hash = state.passwords.hash(password).await?;
    let mut connection = state.database.take().await?;
    let inserted = sqlx::query_as!(
        User,
        "insert into users (id, email, name, password_hash) values ($1, $2, $3, $4)
         on conflict (email) do nothing
         returning id, email, name, created_at",
        Uuid::now_v7(),
        email,
        name,
        hash
    )
    .fetch_optional(&mut *connection)
    .await?;
    connection.keep();
    let taken = || vec![FieldError::new("email", "taken", "has an account already")];
    inserted.ok_or_else(|| Problem::about(StatusCode::CONFLICT, taken()))
}

/// Checks a password and begins a family of refresh tokens.
pub(super) async fn log_in(state: &State, credentials: Credentials) -> Result<TokenPair, Problem> {
    let email = normal_email(&credentials.email);
    state.limits.login_of(&email)?;
    let (id, kept) = credentials_of(state, &email).await?;
    // No account has so long a password, and hashing it would only cost time.
    let right = credentials.password.chars().count() <= LONGEST_PASSWORD
        && state.passwords.is_right(credentials.password, kept).await?;
    let Some(id) = id.filter(|_| right) else { return Err(Problem::unauthorized(WRONG_CREDENTIALS)) };
    let mut connection = state.database.take().await?;
    forget_expired(&mut connection).await?;
    let refresh_token = new_refresh_token();
    insert_refresh_token(&mut connection, &refresh_token, Uuid::now_v7(), id, expiry(state)).await?;
    connection.keep();
    pair(state, id, refresh_token)
}

/// An account's id and the hash of its password; a connection is held no longer than that, since hashing takes long.
async fn credentials_of(state: &State, email: &str) -> Result<(Option<Uuid>, Option<String>), sqlx::Error> {
    // What can't be an address has no account, and may hold what PostgreSQL's text can't.
    if !is_email(email) {
        return Ok((None, None));
    }
    let mut connection = state.database.take().await?;
    let user = sqlx::query!("select id, password_hash from users where email = $1", email)
        .fetch_optional(&mut *connection)
        .await?;
    connection.keep();
    Ok(user.map_or((None, None), |user| (Some(user.id), Some(user.password_hash))))
}

/// Trades a refresh token for the next pair. One that was used before ends its whole family: whoever holds the
/// other copy is logged out as well, since one of the two is a thief.
pub(super) async fn refresh(state: &State, token: &str) -> Result<TokenPair, Problem> {
    let hash = hashed(token);
    let refused = || Problem::unauthorized(WRONG_REFRESH_TOKEN);
    let mut connection = state.database.take().await?;
    let mut transaction = connection.begin().await?;
    let family = lock_family(&mut transaction, &hash).await?.ok_or_else(refused)?;
    // Read under the lock: what another refresh or a logout did before is seen here.
    let found = sqlx::query!(
        r#"select user_id, used_at is not null as "is_used!", expires_at < now() as "is_expired!"
           from refresh_tokens where token_hash = $1"#,
        &hash[..]
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or_else(refused)?;
    if found.is_used {
        end_family(&mut transaction, family).await?;
        transaction.commit().await?;
        tracing::warn!(user = %found.user_id, "a refresh token was used twice; its family is ended");
        metrics::counter!("refresh_tokens_reused_total").increment(1);
        return Err(refused());
    }
    if found.is_expired {
        return Err(refused());
    }
    sqlx::query!("update refresh_tokens set used_at = now() where token_hash = $1", &hash[..])
        .execute(&mut *transaction)
        .await?;
    let refresh_token = new_refresh_token();
    insert_refresh_token(&mut transaction, &refresh_token, family, found.user_id, expiry(state)).await?;
    transaction.commit().await?;
    connection.keep();
    pair(state, found.user_id, refresh_token)
}

/// Ends the family of a refresh token; a token that is not known ends nothing and is no error.
pub(super) async fn log_out(state: &State, token: &str) -> Result<(), Problem> {
    let mut connection = state.database.take().await?;
    let mut transaction = connection.begin().await?;
    if let Some(family) = lock_family(&mut transaction, &hashed(token)).await? {
        end_family(&mut transaction, family).await?;
    }
    transaction.commit().await?;
    connection.keep();
    Ok(())
}

/// The family of a token, whose changes take turns from here to the end of the transaction: so one token gives one
/// next token, and a family that ends takes with it what a refresh was just adding.
async fn lock_family(transaction: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Uuid>, sqlx::Error> {
    // The lock is no row's: rows of a family that several requests delete at once could be locked in any order.
    let locked = sqlx::query!(
        "select family, pg_advisory_xact_lock(hashtextextended(family::text, 0))::text as locked
         from refresh_tokens where token_hash = $1",
        &hash[..]
    );
    Ok(locked.fetch_optional(transaction).await?.map(|locked| locked.family))
}

async fn end_family(transaction: &mut PgConnection, family: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from refresh_tokens where family = $1", family).execute(transaction).await?;
    Ok(())
}

fn pair(state: &State, user: Uuid, refresh_token: String) -> Result<TokenPair, Problem> {
    Ok(TokenPair {
        access_token: state.tokens.issue(user).map_err(|error| Problem::internal(&error))?,
        refresh_token,
        token_type: "Bearer",
        expires_in: state.config.jwt.access_token.as_secs(),
    })
}

fn expiry(state: &State) -> OffsetDateTime {
    OffsetDateTime::now_utc() + state.config.jwt.refresh_token
}

/// 256 random bits.
fn new_refresh_token() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is kept of a refresh token. It is random, so a plain hash is enough.
fn hashed(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

async fn insert_refresh_token(
    connection: &mut PgConnection,
    token: &str,
    family: Uuid,
    user: Uuid,
    expires_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into refresh_tokens (token_hash, family, user_id, expires_at) values ($1, $2, $3, $4)",
        &hashed(token)[..],
        family,
        user,
        expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A few at each login keep the table small without a job of its own.
async fn forget_expired(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from refresh_tokens where token_hash in
             (select token_hash from refresh_tokens where expires_at < now() limit 50 for update skip locked)"
    )
    .execute(connection)
    .await?;
    Ok(())
}

use sqlx::PgPool;
use uuid::Uuid;

use super::User;

/// The user with this id.
pub(super) async fn find(pool: &PgPool, id: Uuid) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as!(User, "select id, email, name, created_at from users where id = $1", id).fetch_optional(pool).await
}

use uuid::Uuid;

use super::User;
use crate::database::Database;

/// The user with this id.
pub(super) async fn find(database: &Database, id: Uuid) -> Result<Option<User>, sqlx::Error> {
    let mut connection = database.take().await?;
    let user = sqlx::query_as!(User, "select id, email, name, created_at from users where id = $1", id)
        .fetch_optional(&mut *connection)
        .await?;
    connection.keep();
    Ok(user)
}

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A user, as only that user sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    #[schema(example = "ada@example.com")]
    pub(crate) email: String,
    #[schema(example = "Ada")]
    pub(crate) name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

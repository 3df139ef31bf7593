use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::model::{NewVideo, Owner, Page, Selection, Video, VideoChange, write_cursor};
use crate::database::Database;
use crate::http::problem::Problem;
use crate::http::trace::TraceParent;
use crate::modules::events::{NewEvent, outbox};

const NO_VIDEO: &str = "There is no such video";
const NOT_THE_OWNER: &str = "Only who added a video can change it";

/// A row as the queries give it.
struct Row {
    id: Uuid,
    title: String,
    description: String,
    url: String,
    owner_id: Uuid,
    owner_name: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Video {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            title: row.title,
            description: row.description,
            url: row.url,
            owner: Owner { id: row.owner_id, name: row.owner_name },
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Adds a video, and owes the world the news of it.
pub(super) async fn create(
    database: &Database,
    owner: Uuid,
    video: NewVideo,
    trace: TraceParent,
) -> Result<Video, Problem> {
    let video = video.checked()?;
    let mut connection = database.take().await?;
    let mut transaction = connection.begin().await?;
    let inserted = sqlx::query_as!(
        Row,
        r#"with inserted as (
             insert into videos (id, owner_id, title, description, url)
             select $1, users.id, $3, $4, $5 from users where users.id = $2
             returning *
         )
         select inserted.id as "id!", title as "title!", description as "description!", url as "url!",
                owner_id as "owner_id!", users.name as owner_name,
                inserted.created_at as "created_at!", updated_at as "updated_at!"
         from inserted join users on users.id = owner_id"#,
        Uuid::now_v7(),
        owner,
        video.title,
        video.description,
        video.url
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let video = Video::from(inserted.ok_or_else(|| Problem::unauthorized("The account is gone"))?);
    let event = NewEvent::new(crate::TOPIC, video.id, &video, Some(trace.to_string()))
        .map_err(|error| Problem::internal(&error))?;
    outbox::append(&mut transaction, &event).await?;
    transaction.commit().await?;
    connection.keep();
    Ok(video)
}

/// One page, newest first.
pub(super) async fn list(database: &Database, selection: Selection) -> Result<Page, Problem> {
    // One more than asked for tells whether there is a next page.
    let limit = i64::from(selection.limit) + 1;
    // The greatest UUID is after every video.
    let before = selection.before.unwrap_or(Uuid::max());
    let mut connection = database.take().await?;
    let rows = match selection.pattern {
        None => {
            sqlx::query_as!(
                Row,
                "select videos.id, title, description, url, owner_id, users.name as owner_name,
                        videos.created_at, updated_at
                 from videos join users on users.id = owner_id
                 where videos.id < $1
                 order by videos.id desc limit $2",
                before,
                limit
            )
            .fetch_all(&mut *connection)
            .await?
        }
        Some(pattern) => {
            sqlx::query_as!(
                Row,
                "select videos.id, title, description, url, owner_id, users.name as owner_name,
                        videos.created_at, updated_at
                 from videos join users on users.id = owner_id
                 where videos.id < $1 and title ilike $3
                 order by videos.id desc limit $2",
                before,
                limit,
                pattern
            )
            .fetch_all(&mut *connection)
            .await?
        }
    };
    connection.keep();
    let more = rows.len() > usize::from(selection.limit);
    let items: Vec<Video> = rows.into_iter().take(selection.limit.into()).map(Video::from).collect();
    let next_cursor = items.last().filter(|_| more).map(|video| write_cursor(video.id));
    Ok(Page { items, next_cursor })
}

/// The video with this id.
pub(super) async fn find(database: &Database, id: Uuid) -> Result<Video, Problem> {
    let mut connection = database.take().await?;
    let video = select(&mut connection, id).await?;
    connection.keep();
    video.ok_or_else(|| Problem::not_found(NO_VIDEO))
}

async fn select(connection: &mut PgConnection, id: Uuid) -> Result<Option<Video>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "select videos.id, title, description, url, owner_id, users.name as owner_name, videos.created_at, updated_at
         from videos join users on users.id = owner_id
         where videos.id = $1",
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Video::from))
}

/// Changes a video of this owner.
pub(super) async fn change(database: &Database, owner: Uuid, id: Uuid, change: VideoChange) -> Result<Video, Problem> {
    let change = change.checked()?;
    let mut connection = database.take().await?;
    let changed = sqlx::query!(
        "update videos set title = coalesce($3, title), description = coalesce($4, description),
                           url = coalesce($5, url), updated_at = now()
         where id = $1 and owner_id = $2",
        id,
        owner,
        change.title,
        change.description,
        change.url
    )
    .execute(&mut *connection)
    .await?;
    let video = select(&mut connection, id).await?;
    connection.keep();
    match video {
        None => Err(Problem::not_found(NO_VIDEO)),
        Some(_) if changed.rows_affected() == 0 => Err(Problem::forbidden(NOT_THE_OWNER)),
        Some(video) => Ok(video),
    }
}

/// Deletes a video of this owner.
pub(super) async fn delete(database: &Database, owner: Uuid, id: Uuid) -> Result<(), Problem> {
    let mut connection = database.take().await?;
    let deleted =
        sqlx::query!("delete from videos where id = $1 and owner_id = $2", id, owner).execute(&mut *connection).await?;
    // Of somebody else, or of nobody?
    let other = if deleted.rows_affected() > 0 { None } else { Some(select(&mut connection, id).await?) };
    connection.keep();
    match other {
        None => Ok(()),
        Some(None) => Err(Problem::not_found(NO_VIDEO)),
        Some(Some(_)) => Err(Problem::forbidden(NOT_THE_OWNER)),
    }
}

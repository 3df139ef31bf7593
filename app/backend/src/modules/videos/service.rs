use std::collections::HashMap;

use axum::body::Bytes;
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::model::{NewVideo, Owner, Page, Selection, Video, VideoChange, write_cursor};
use crate::database::Database;
use crate::http::problem::Problem;
use crate::http::trace::TraceParent;
use crate::modules::events::{NewEvent, outbox};
use crate::state::State;
use crate::together::Together;

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

/// What many ask for at once is done together; see [`Together`].
#[derive(Default)]
pub(crate) struct Turns {
    creates: Together<(), Adding, Result<Video, Problem>>,
    lists: Together<Selection, (), Result<Bytes, Problem>>,
}

/// Videos written in one transaction; what it keeps waiting is small beside what it saves.
const LARGEST_TURN: usize = 200;

/// A checked video that is to be added.
#[derive(Clone)]
struct Adding {
    id: Uuid,
    owner: Uuid,
    video: NewVideo,
    trace: TraceParent,
}

/// Adds a video, and owes the world the news of it.
pub(super) async fn create(state: &State, owner: Uuid, video: NewVideo, trace: TraceParent) -> Result<Video, Problem> {
    let adding = Adding { id: Uuid::now_v7(), owner, video: video.checked()?, trace };
    let work = {
        let state = state.clone();
        move |turn| {
            let state = state.clone();
            async move { add_each(&state.database, turn).await }
        }
    };
    let added = state.videos.creates.ask((), adding, LARGEST_TURN, work).await.unwrap_or_else(|| Err(gave_up()));
    if added.is_ok() {
        state.events.owe();
    }
    added
}

/// Adds all of them in one transaction; where that fails, each in its own, so that none suffers for another.
async fn add_each(database: &Database, turn: Vec<Adding>) -> Vec<Result<Video, Problem>> {
    let count = turn.len();
    match add(database, turn.clone()).await {
        Ok(added) => added,
        Err(problem) if count == 1 || problem.is_passing() => turn.iter().map(|_| Err(problem.clone())).collect(),
        Err(_) => {
            let mut added = Vec::with_capacity(count);
            for adding in turn {
                let alone = add(database, vec![adding]).await;
                added.push(alone.and_then(|mut only| only.pop().unwrap_or_else(|| Err(gave_up()))));
            }
            added
        }
    }
}

async fn add(database: &Database, turn: Vec<Adding>) -> Result<Vec<Result<Video, Problem>>, Problem> {
    let mut connection = database.take().await?;
    let mut transaction = connection.begin().await?;
    let column = |field: fn(&Adding) -> &str| turn.iter().map(field).collect::<Vec<_>>();
    let inserted = sqlx::query!(
        r#"with inserted as (
             insert into videos (id, owner_id, title, description, url)
             select new.id, users.id, new.title, new.description, new.url
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
                  as new (id, owner_id, title, description, url)
             join users on users.id = new.owner_id
             returning id, owner_id, created_at, updated_at
         )
         select inserted.id as "id!", users.name as owner_name,
                inserted.created_at as "created_at!", updated_at as "updated_at!"
         from inserted join users on users.id = owner_id"#,
        &turn.iter().map(|adding| adding.id).collect::<Vec<_>>(),
        &turn.iter().map(|adding| adding.owner).collect::<Vec<_>>(),
        &column(|adding| &adding.video.title) as _,
        &column(|adding| &adding.video.description) as _,
        &column(|adding| &adding.video.url) as _,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let mut inserted: HashMap<Uuid, _> = inserted.into_iter().map(|row| (row.id, row)).collect();
    let mut videos = Vec::with_capacity(turn.len());
    let mut events = Vec::with_capacity(turn.len());
    for Adding { id, owner, video, trace } in turn {
        let Some(row) = inserted.remove(&id) else {
            videos.push(Err(Problem::unauthorized("The account is gone")));
            continue;
        };
        let video = Video {
            id,
            title: video.title,
            description: video.description,
            url: video.url,
            owner: Owner { id: owner, name: row.owner_name },
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        let event = NewEvent::new(crate::TOPIC, id, &video, Some(trace.to_string()));
        events.push(event.map_err(|error| Problem::internal(&error))?);
        videos.push(Ok(video));
    }
    outbox::append(&mut transaction, &events).await?;
    transaction.commit().await?;
    connection.keep();
    Ok(videos)
}

fn gave_up() -> Problem {
    Problem::internal(&"the work of a turn ended without an answer")
}

/// One page as JSON, newest first.
pub(super) async fn list(state: &State, selection: Selection) -> Result<Bytes, Problem> {
    let work = {
        let (state, selection) = (state.clone(), selection.clone());
        move |turn: Vec<()>| {
            let (state, selection) = (state.clone(), selection.clone());
            async move { vec![page(&state.database, &selection).await; turn.len()] }
        }
    };
    state.videos.lists.ask(selection, (), usize::MAX, work).await.unwrap_or_else(|| Err(gave_up()))
}

async fn page(database: &Database, selection: &Selection) -> Result<Bytes, Problem> {
    // One more than asked for tells whether there is a next page.
    let limit = i64::from(selection.limit) + 1;
    // The greatest UUID is after every video.
    let before = selection.before.unwrap_or(Uuid::max());
    let mut connection = database.take().await?;
    let rows = match &selection.pattern {
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
    let page = serde_json::to_vec(&Page { items, next_cursor });
    page.map(Bytes::from).map_err(|error| Problem::internal(&error))
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

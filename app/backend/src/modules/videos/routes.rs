use axum::extract::State as Extract;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::model::{Listing, NewVideo, Page, Video, VideoChange};
use super::service;
use crate::http::extract::{Body, Path, Query};
use crate::http::problem::Problem;
use crate::http::trace::TraceParent;
use crate::modules::auth::CurrentUser;
use crate::state::State;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(find, change, delete))
}

/// List videos, newest first
#[utoipa::path(get, path = "/api/videos", tag = "videos", operation_id = "list_videos", params(Listing), responses(
    (status = 200, description = "One page", body = Page),
    (status = 400, description = "Parameters that are not valid"),
))]
async fn list(Extract(state): Extract<State>, Query(listing): Query<Listing>) -> Result<Response, Problem> {
    let page = service::list(&state, listing.checked()?).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], page).into_response())
}

/// Add a video; everybody is told
#[utoipa::path(post, path = "/api/videos", tag = "videos", operation_id = "create_video", request_body = NewVideo, responses(
    (status = 201, description = "The video", body = Video, headers(("location" = String, description = "Its path"))),
))]
async fn create(
    Extract(state): Extract<State>,
    CurrentUser(owner): CurrentUser,
    Extension(trace): Extension<TraceParent>,
    Body(video): Body<NewVideo>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Video>), Problem> {
    let video = service::create(&state, owner, video, trace).await?;
    let location = format!("/api/videos/{}", video.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(video)))
}

/// One video
#[utoipa::path(get, path = "/api/videos/{id}", tag = "videos", operation_id = "get_video", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The video", body = Video),
    (status = 404, description = "There is none"),
))]
async fn find(Extract(state): Extract<State>, Path(id): Path<Uuid>) -> Result<Json<Video>, Problem> {
    Ok(Json(service::find(&state.database, id).await?))
}

/// Change a video of one's own
#[utoipa::path(patch, path = "/api/videos/{id}", tag = "videos", operation_id = "change_video", params(("id" = Uuid, Path)), request_body = VideoChange, responses(
    (status = 200, description = "The changed video", body = Video),
    (status = 403, description = "Somebody else's"),
    (status = 404, description = "There is none"),
))]
async fn change(
    Extract(state): Extract<State>,
    CurrentUser(owner): CurrentUser,
    Path(id): Path<Uuid>,
    Body(change): Body<VideoChange>,
) -> Result<Json<Video>, Problem> {
    Ok(Json(service::change(&state.database, owner, id, change).await?))
}

/// Delete a video of one's own
#[utoipa::path(delete, path = "/api/videos/{id}", tag = "videos", operation_id = "delete_video", params(("id" = Uuid, Path)), responses(
    (status = 204, description = "Deleted"),
    (status = 403, description = "Somebody else's"),
    (status = 404, description = "There is none"),
))]
async fn delete(
    Extract(state): Extract<State>,
    CurrentUser(owner): CurrentUser,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    service::delete(&state.database, owner, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

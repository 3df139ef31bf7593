use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Credentials, RefreshRequest, Registration, TokenPair};
use super::service;
use crate::http::extract::Body;
use crate::http::problem::Problem;
use crate::http::rate_limit::Try;
use crate::modules::users::User;
use crate::state::State;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
}

/// Make an account
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", request_body = Registration, security(()), responses(
    (status = 201, description = "The account", body = User),
    (status = 409, description = "The email address has an account already"),
    (status = 429, description = "Too many tries"),
))]
async fn register(
    Extract(state): Extract<State>,
    _: Try,
    Body(registration): Body<Registration>,
) -> Result<(StatusCode, Json<User>), Problem> {
    Ok((StatusCode::CREATED, Json(service::register(&state, registration).await?)))
}

/// Log in
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = Credentials, security(()), responses(
    (status = 200, description = "Tokens", body = TokenPair),
    (status = 401, description = "Wrong email address or password"),
    (status = 429, description = "Too many tries"),
))]
async fn log_in(
    Extract(state): Extract<State>,
    _: Try,
    Body(credentials): Body<Credentials>,
) -> Result<Json<TokenPair>, Problem> {
    Ok(Json(service::log_in(&state, credentials).await?))
}

/// Trade a refresh token for new tokens
///
/// Each is good for one use. One that is used twice ends every token of its login.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", request_body = RefreshRequest, security(()), responses(
    (status = 200, description = "The next tokens", body = TokenPair),
    (status = 401, description = "Not valid any more"),
))]
async fn refresh(
    Extract(state): Extract<State>,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<TokenPair>, Problem> {
    Ok(Json(service::refresh(&state, &request.refresh_token).await?))
}

/// Log out: ends every token of the login that the refresh token came from
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", request_body = RefreshRequest, security(()), responses(
    (status = 204, description = "Logged out"),
))]
async fn log_out(Extract(state): Extract<State>, Body(request): Body<RefreshRequest>) -> Result<StatusCode, Problem> {
    service::log_out(&state, &request.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

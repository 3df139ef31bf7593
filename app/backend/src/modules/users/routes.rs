use axum::Json;
use axum::extract::State as Extract;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{User, service};
use crate::http::problem::Problem;
use crate::modules::auth::CurrentUser;
use crate::state::State;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(me))
}

/// Who the token speaks for
#[utoipa::path(get, path = "/api/users/me", tag = "users", responses(
    (status = 200, description = "The user", body = User),
))]
async fn me(Extract(state): Extract<State>, CurrentUser(id): CurrentUser) -> Result<Json<User>, Problem> {
    // A token outlives its user by at most its expiry.
    let user = service::find(&state.database, id).await?;
    user.map(Json).ok_or_else(|| Problem::unauthorized("The account is gone"))
}

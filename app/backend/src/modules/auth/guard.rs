//! One layer guards every route; what is public is on one list.

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::state::State;

/// The routes (method, path) that need no token; every other one answers 401 without. `/ws` takes its token in the first message, `logout` and `refresh` in their body.
pub const PUBLIC_ROUTES: &[(&str, &str)] = &[
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/logout"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/health/started"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/"),
    ("GET", "/docs/{*rest}"),
    ("GET", "/ws"),
];

/// The user whose token the request carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurrentUser(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| Problem::unauthorized("A token is needed"))
    }
}

/// Lets a request through that goes to a public route or carries a good token.
pub(crate) async fn require_token(
    axum::extract::State(state): axum::extract::State<State>,
    mut request: Request,
    next: Next,
) -> Response {
    // A path that no route has is nothing to guard: it is 404 for everybody.
    let Some(route) = request.extensions().get::<MatchedPath>() else { return next.run(request).await };
    // HEAD is GET without the body.
    let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    if PUBLIC_ROUTES.contains(&(method, route.as_str())) {
        return next.run(request).await;
    }
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let Some(token) = token else {
        return Problem::unauthorized("A token is needed: Authorization: Bearer …").into_response();
    };
    let Some(identity) = state.tokens.verify(token) else {
        return Problem::invalid_token("The token is not valid, or has expired").into_response();
    };
    request.extensions_mut().insert(CurrentUser(identity.user));
    next.run(request).await
}

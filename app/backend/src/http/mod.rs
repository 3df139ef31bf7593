//! HTTP: what every request goes through, problem documents, health, metrics and the API's description.

pub(crate) mod extract;
mod health;
mod layers;
pub(crate) mod metrics;
mod openapi;
pub(crate) mod problem;
pub(crate) mod rate_limit;
pub(crate) mod trace;

pub use openapi::openapi;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};

use crate::Error;
use crate::modules::auth::require_token;
use crate::modules::events::{Session, Upgrade};
use crate::state::State;
use problem::Problem;

/// Everything that the public listener answers.
///
/// # Errors
/// Settings that can't work.
pub(crate) fn router(state: State) -> Result<Router, Error> {
    let (routes, _) = openapi::described();
    // Without the validator, which would be asked over the network.
    let docs = SwaggerConfig::from("/openapi.json").validator_url("none").persist_authorization(true);
    let router = routes
        .merge(SwaggerUi::new("/docs").config(docs))
        .fallback(async || Problem::of_status(StatusCode::NOT_FOUND))
        // The innermost layer first: a route's own handler is what the token guards.
        .route_layer(axum::middleware::from_fn_with_state(state.clone(), require_token))
        .layer(DefaultBodyLimit::max(state.config.body_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, state.config.request_timeout))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(layers::cors(&state.config.allowed_origins)?)
        .layer(axum::middleware::from_fn(layers::observe));
    Ok(router.with_state(state))
}

/// Follow the events, over a WebSocket
///
/// The first message says who follows, and what was seen last:
/// `{"type":"auth","token":"…","last_event_id":"…"}`. Then events come, such as
/// `{"type":"video.created","id":"…","schema_version":1,"occurred_at":"…","data":{…}}`.
#[utoipa::path(get, path = "/ws", tag = "events", security(()), responses(
    (status = 101, description = "The socket is open"),
    (status = 400, description = "Not a request for a WebSocket"),
    (status = 403, description = "The page that asks is not one that may"),
    (status = 426, description = "The connection can't become a WebSocket"),
))]
async fn socket(Extract(state): Extract<State>, headers: HeaderMap, upgrade: Upgrade) -> Response {
    if !is_allowed_origin(&headers, &state.config.allowed_origins) {
        return Problem::forbidden("This page may not follow the events").into_response();
    }
    let verifier = state.clone();
    state.events.upgrade(upgrade, move |token| {
        let identity = verifier.tokens.verify(token)?;
        Some(Session { user: identity.user, expires_at: identity.expires_at })
    })
}

/// Browsers say which page opens a socket, and don't hold it to CORS: a strange page is refused here.
pub(crate) fn is_allowed_origin(headers: &HeaderMap, allowed: &[String]) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return !headers.contains_key(header::ORIGIN) };
    let own_host = || origin.split_once("://").map(|(_, host)| host) == text(header::HOST);
    allowed.iter().any(|known| known == origin) || own_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_for_known_pages_and_for_programs() {
        let headers = |pairs: &[(header::HeaderName, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), header::HeaderValue::from_static(value)));
            pairs.collect::<HeaderMap>()
        };
        let allowed = ["http://localhost:3000".to_owned()];
        assert!(is_allowed_origin(&headers(&[]), &allowed));
        assert!(is_allowed_origin(&headers(&[(header::ORIGIN, "http://localhost:3000")]), &allowed));
        let same = headers(&[(header::ORIGIN, "https://app.example.com"), (header::HOST, "app.example.com")]);
        assert!(is_allowed_origin(&same, &[]));
        let strange = headers(&[(header::ORIGIN, "https://evil.example"), (header::HOST, "app.example.com")]);
        assert!(!is_allowed_origin(&strange, &allowed));
    }
}

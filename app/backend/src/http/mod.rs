//! HTTP: what every request goes through, problem documents, health, metrics and the API's description.

pub(crate) mod extract;
mod health;
mod layers;
pub(crate) mod metrics;
pub(crate) mod problem;
pub(crate) mod rate_limit;
pub(crate) mod trace;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{DefaultBodyLimit, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};

use crate::Error;
use crate::modules::auth::require_token;
use crate::modules::events::Session;
use crate::modules::{auth, users, videos};
use crate::state::State;
use problem::Problem;

/// Streamify's API
///
/// Videos that people add, and the news of them. Log in for a token; errors are problem documents (RFC 9457).
#[derive(OpenApi)]
#[openapi(
    info(title = "Streamify", license(name = "MIT", identifier = "MIT")),
    modifiers(&BearerTokens),
    security(("bearer" = [])),
    tags((name = "auth"), (name = "users"), (name = "videos"), (name = "health")),
)]
struct Description;

struct BearerTokens;

impl utoipa::Modify for BearerTokens {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn described(state: &State) -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(auth::router(state))
        .merge(users::router())
        .merge(videos::router())
        .merge(health::router())
}

/// Everything that the public listener answers.
///
/// # Errors
/// Settings that can't work.
pub(crate) fn router(state: State) -> Result<Router, Error> {
    let (routes, openapi) = described(&state).split_for_parts();
    let description =
        openapi.to_pretty_json().map_err(|error| Error::Setting(format!("the API's description: {error}")))?;
    let describe = move || async move { ([(header::CONTENT_TYPE, "application/json")], description) };
    let docs = SwaggerUi::new("/docs").config(SwaggerConfig::from("/openapi.json"));
    let router = routes
        .route("/ws", get(socket))
        .route("/openapi.json", get(describe))
        .merge(docs)
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

/// Follows the events; see `modules::events::socket` for what is said.
async fn socket(Extract(state): Extract<State>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
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
fn is_allowed_origin(headers: &HeaderMap, allowed: &[String]) -> bool {
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

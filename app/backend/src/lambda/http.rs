//! The HTTP API: the app's router behind API Gateway.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Uri;
use axum::response::Response;
use lambda_http::request::RequestContext;
use lambda_http::{RequestExt, service_fn};
use tower::ServiceExt;

use super::{App, ended, left};
use crate::config::Config;
use crate::{Error, http};

/// How long an answer may wait for Kafka. What is not published by then is published by the next request, or by the
/// schedule's invocation.
const PUBLISH_WAIT: Duration = Duration::from_secs(3);

/// Answers requests of an HTTP API until the runtime ends.
///
/// # Errors
/// A configuration that can't work, or a runtime that does not answer.
pub async fn serve_http(config: Config) -> Result<(), Error> {
    let app = Arc::new(App::new(config)?);
    let router = http::router(app.state.clone())?;
    ended(
        lambda_http::run(service_fn(move |request| {
            let (app, router) = (Arc::clone(&app), router.clone());
            async move { Ok::<_, Infallible>(answer(&app, router, request).await) }
        }))
        .await,
    )
}

async fn answer(app: &App, router: Router, request: lambda_http::Request) -> Response {
    app.wake();
    let left = request.lambda_context_ref().map_or(PUBLISH_WAIT, left);
    let response = match router.oneshot(translated(request)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if app.state.events.take_owed() {
        // The function is frozen as soon as it has answered: what it leaves in memory may never be sent.
        match tokio::time::timeout(left.min(PUBLISH_WAIT), app.outlet.drain()).await {
            Ok(Ok(published)) => tracing::debug!(published, "events"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "events wait in the outbox");
                app.state.events.owe();
            }
            Err(_) => {
                tracing::warn!(seconds = PUBLISH_WAIT.as_secs(), "Kafka does not answer; events wait in the outbox");
                app.state.events.owe();
            }
        }
    }
    response
}

/// The request as the router knows requests: its address without the stage, and its caller.
fn translated(request: lambda_http::Request) -> axum::extract::Request {
    let context = request.request_context_ref();
    let (stage, source) = match context {
        Some(RequestContext::ApiGatewayV2(context)) => (context.stage.clone(), context.http.source_ip.clone()),
        _ => (None, None),
    };
    let (mut parts, body) = request.into_parts();
    let stage = stage.filter(|stage| stage != "$default");
    parts.uri = without_stage(&parts.uri, stage.as_deref());
    let peer = source.and_then(|text| text.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    parts.extensions.insert(ConnectInfo(SocketAddr::new(peer, 0)));
    let body = match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    };
    axum::extract::Request::from_parts(parts, body)
}

/// Path and query alone; a stage that is not the default one is the first part of the path.
fn without_stage(uri: &Uri, stage: Option<&str>) -> Uri {
    let whole = uri.path_and_query().map_or("/", |path| path.as_str());
    let inner = stage
        .and_then(|stage| whole.strip_prefix('/')?.strip_prefix(stage))
        .filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        .unwrap_or(whole);
    let path = if inner.starts_with('/') { inner.to_owned() } else { format!("/{inner}") };
    // A part of an address that was read is one again.
    path.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_no_part_of_the_path() {
        let inner = |uri: &str, stage| without_stage(&uri.parse().unwrap(), stage).to_string();
        assert_eq!(
            inner("https://id.execute-api.eu-west-1.amazonaws.com/api/videos?limit=1", None),
            "/api/videos?limit=1"
        );
        assert_eq!(inner("https://h/prod/api/videos?q=a", Some("prod")), "/api/videos?q=a");
        assert_eq!(inner("https://h/prod", Some("prod")), "/");
        assert_eq!(inner("https://h/prod?q=a", Some("prod")), "/?q=a");
        assert_eq!(inner("https://h/products", Some("prod")), "/products");
    }
}

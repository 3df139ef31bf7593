//! What happens to every request and answer, whatever the route.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::RngExt;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;
use uuid::Builder;

use super::metrics;
use super::problem::Problem;
use super::trace::TraceParent;
use crate::Error;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest id of a caller that is kept.
const LONGEST_ID: usize = 128;

/// An API has nothing that a browser should render, frame or load.
const API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The page of the documentation has styles of its own, and pictures in them.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);

/// Gives each request an id and a place in a trace, and measures, logs and dresses its answer.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let incoming = request.headers().get(TRACE_PARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
    let trace = incoming.map_or_else(TraceParent::new, TraceParent::child);
    let (id, id_header) = request_id(request.headers());
    request.extensions_mut().insert(trace);
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = method_name(request.method());

    let span = tracing::info_span!("request", request_id = %id, trace_id = %trace.trace_id(), method, route);
    let mut response = next.run(request).instrument(span.clone()).await;

    explain(&mut response, &id);
    secure(response.headers_mut(), route);
    response.headers_mut().insert(REQUEST_ID, id_header);
    let (status, elapsed) = (response.status(), started.elapsed());
    metrics::answered(method, route, status, elapsed);
    log(&span, route, status.as_u16(), elapsed);
    response
}

fn log(span: &tracing::Span, route: &str, status: u16, elapsed: Duration) {
    let milliseconds = elapsed.as_secs_f64() * 1_000.0;
    if status >= 500 && !matches!(route, "/health/ready" | "/health/started") {
        tracing::error!(parent: span, status, milliseconds, "answered");
    } else if route.starts_with("/health/") {
        // Asked every few seconds by whatever watches this process.
        tracing::debug!(parent: span, status, milliseconds, "answered");
    } else {
        tracing::info!(parent: span, status, milliseconds, "answered");
    }
}

/// The caller's id of the request where it is a plain word, otherwise a new one.
fn request_id(headers: &HeaderMap) -> (String, HeaderValue) {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let given = headers.get(REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        !bytes.is_empty() && bytes.len() <= LONGEST_ID && bytes.iter().all(plain)
    });
    if let Some(value) = given
        && let Ok(text) = value.to_str()
    {
        return (text.to_owned(), value.clone());
    }
    // The thread's own generator: the crate's asks the system for each id.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let id = Builder::from_unix_timestamp_millis(now, &rand::rng().random()).into_uuid().to_string();
    let value = HeaderValue::try_from(id.as_str());
    // Hexadecimal digits and hyphens are always a header value.
    let value = value.unwrap_or_else(|_| HeaderValue::from_static("unknown"));
    (id, value)
}

/// The method as a label: what clients make up must not become a time series.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Writes the problem document of an answer that is an error, whoever made it.
fn explain(response: &mut Response, id: &str) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let problem = match response.extensions_mut().remove::<Arc<Problem>>() {
        Some(problem) => problem,
        // An error that has a document of its own, such as "not ready".
        None if response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json") => return,
        None => Arc::new(Problem::of_status(status)),
    };
    *response.body_mut() = Body::from(problem.document(id));
    let headers = response.headers_mut();
    // Of the body that this one replaces.
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(challenge) = problem.challenge() {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = problem.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
}

fn secure(headers: &mut HeaderMap, route: &str) {
    let policy = if route.starts_with("/docs") { DOCS_POLICY } else { API_POLICY };
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // What the API says is of one user at one time; a route that knows better says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Lets the pages of these origins call the API.
pub(super) fn cors(origins: &[String]) -> Result<CorsLayer, Error> {
    let read = |origin: &String| {
        let is_origin = url::Url::parse(origin)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *origin);
        HeaderValue::from_str(origin).ok().filter(|_| is_origin).ok_or_else(|| {
            Error::Setting(format!("allowed origin {origin:?} is not of the form scheme://host:port, without a path"))
        })
    };
    let origins = origins.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, REQUEST_ID, TRACE_PARENT])
        .expose_headers([header::LOCATION, header::RETRY_AFTER, REQUEST_ID])
        .max_age(Duration::from_secs(600)))
}

/// The answer to a request whose handler panicked.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::internal(&format_args!("a handler panicked: {}", message.unwrap_or("without a message"))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_id_is_kept_and_another_is_replaced() {
        let id =
            |text: &'static str| request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(text))])).0;
        assert_eq!(id("abc-1_2.3"), "abc-1_2.3");
        assert!(["", "a b", "a\"b", "a/b"].iter().all(|text| uuid::Uuid::parse_str(&id(text)).is_ok()));
    }

    #[test]
    fn only_origins_are_allowed_origins() {
        assert!(cors(&["http://localhost:3000".into(), "https://example.com".into()]).is_ok());
        for wrong in ["*", "null", "localhost:3000", "https://example.com/", "https://example.com/page", "ftp://a"] {
            let error = cors(&[wrong.into()]).err().map(|error| error.to_string());
            assert!(error.is_some_and(|text| text.contains(wrong)), "{wrong}");
        }
    }
}

//! The page: the generated Nuxt app, embedded in the binary and served precompressed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::config::PageConfig;
use crate::serve::run;

/// What `make page` generates. It may be missing: the binary builds without Node.
#[derive(RustEmbed)]
#[folder = "../frontend/dist"]
#[allow_missing = true]
struct Files;

/// What is served where the page was not built.
const WITHOUT_PAGE: &str = include_str!("without_page.html");
/// How long requests in flight have after the shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// A file of the page, for places that serve files as they are.
#[derive(Clone, Debug)]
pub struct PageFile {
    /// Its path, without a slash before it.
    pub name: String,
    pub data: Cow<'static, [u8]>,
    pub content_type: &'static str,
    pub cache_control: &'static str,
}

/// The files of the page in their order by name, without their compressed twins: places that serve files as they are
/// compress by themselves. `/config.json` is not among them, since it depends on where the API is.
pub fn page_files() -> Vec<PageFile> {
    let names = Files::iter().filter(|name| !is_twin(name));
    let mut files: Vec<PageFile> = names
        .filter_map(|name| {
            let data = Files::get(&name)?.data;
            let (content_type, cache_control) = (content_type(&name), cache_control(&name));
            Some(PageFile { content_type, cache_control, name: name.into_owned(), data })
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

/// Compressed twins are an encoding of a file, not files of their own.
fn is_twin(name: &str) -> bool {
    matches!(name.rsplit('.').next(), Some("br" | "gz"))
}

/// Names of what lies in `_nuxt` change with what is in them.
fn cache_control(name: &str) -> &'static str {
    if name.starts_with("_nuxt/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

#[derive(Clone)]
struct Page {
    policy: HeaderValue,
    config: String,
}

/// Serves the page until `shutdown`.
///
/// # Errors
/// An API address that can't be part of a policy, or a socket that breaks.
pub async fn serve_page(config: PageConfig, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
    let router = router(&config)?;
    run(listener, router, &shutdown, GRACE).await.map_err(Error::Serve)
}

fn router(config: &PageConfig) -> Result<Router, Error> {
    let html =
        Files::iter().filter(|name| name.rsplit('.').next() == Some("html")).filter_map(|name| Files::get(&name));
    let scripts = html
        .map(|file| inline_scripts(&String::from_utf8_lossy(&file.data)))
        .fold(BTreeSet::new(), |all, some| &all | &some);
    let page = Page {
        policy: policy(&config.api_base, &scripts)?,
        config: serde_json::json!({ "api_base": config.api_base }).to_string(),
    };
    Ok(Router::new()
        .route("/health/live", get(async || "ok"))
        .route("/config.json", get(describe))
        .fallback(file)
        .with_state(page))
}

async fn describe(Extract(page): Extract<Page>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, page.config).into_response()
}

/// The hashes (CSP level 3) of the scripts that stand in the html itself.
fn inline_scripts(html: &str) -> BTreeSet<String> {
    let mut hashes = BTreeSet::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("<script") {
        let Some((attributes, body)) = after.split_once('>') else { break };
        let Some((script, after)) = body.split_once("</script>") else { break };
        // Data blocks don't run, but browsers hold some of them to the policy all the same.
        if !attributes.contains(" src=") {
            hashes.insert(format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes()))));
        }
        rest = after;
    }
    hashes
}

/// What the page may load and call.
fn policy(api_base: &str, scripts: &BTreeSet<String>) -> Result<HeaderValue, Error> {
    let wrong = || Error::Setting(format!("the API's address {api_base:?} is not of the form scheme://host:port"));
    let mut api = String::new();
    if !api_base.is_empty() {
        let base = url::Url::parse(api_base).map_err(|_| wrong())?;
        let origin = base.origin().ascii_serialization();
        let socket = origin.strip_prefix("http").map(|rest| format!("ws{rest}")).ok_or_else(wrong)?;
        let _ = write!(api, " {origin} {socket}");
    }
    let scripts = scripts.iter().fold(String::new(), |all, hash| all + " " + hash);
    let policy = format!(
        "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; font-src 'self'; \
         img-src 'self' data: blob: http: https:; media-src 'self' blob: http: https:; connect-src 'self'{api}; \
         manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    );
    HeaderValue::try_from(policy).map_err(|_| wrong())
}

async fn file(Extract(page): Extract<Page>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = if method == Method::GET || method == Method::HEAD {
        find(uri.path(), &headers)
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, page.policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("permissions-policy", HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
    response
}

fn find(path: &str, headers: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    let is_twin = is_twin(name);
    let found = [name.to_owned(), format!("{}index.html", with_slash(name))]
        .into_iter()
        .filter(|name| !name.is_empty() && !is_twin)
        .find_map(|name| Some((Files::get(&name)?, name)));
    if let Some((file, name)) = found {
        return respond(&file, &name, headers);
    }
    // The app's own routes are html to whoever navigates; a missing picture is missing.
    let navigates = headers.get(header::ACCEPT).is_some_and(|value| value.to_str().unwrap_or("").contains("text/html"));
    let has_extension = name.rsplit('/').next().is_some_and(|last| last.contains('.'));
    if !navigates || has_extension {
        return (StatusCode::NOT_FOUND, "There is nothing here").into_response();
    }
    let shell = ["200.html", "index.html"].into_iter().find_map(|name| Some((Files::get(name)?, name)));
    match shell {
        Some((file, name)) => respond(&file, name, headers),
        None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], WITHOUT_PAGE).into_response(),
    }
}

fn with_slash(name: &str) -> String {
    if name.is_empty() || name.ends_with('/') { name.to_owned() } else { format!("{name}/") }
}

fn respond(file: &EmbeddedFile, name: &str, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    let twin = [("br", "br"), ("gzip", "gz")].into_iter().find_map(|(encoding, extension)| {
        let wanted = accepted.split(',').any(|one| {
            let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
            coding.trim() == encoding && weight.replace(' ', "") != "q=0"
        });
        wanted.then(|| Files::get(&format!("{name}.{extension}"))).flatten().map(|file| (encoding, file))
    });
    let mut tag = String::with_capacity(40);
    tag.push('"');
    for byte in &file.metadata.sha256_hash()[..12] {
        let _ = write!(tag, "{byte:02x}");
    }
    // Encodings of one file are different representations (RFC 9110, section 8.8.3.3).
    tag.push_str(twin.as_ref().map_or("", |(encoding, _)| encoding));
    tag.push('"');
    let cache = cache_control(name);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut response = if known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let data = match twin.as_ref().map_or(&file.data, |(_, twin)| &twin.data) {
            // Embedded: sent from where it lies in the binary.
            Cow::Borrowed(data) => Bytes::from_static(data),
            Cow::Owned(data) => Bytes::copy_from_slice(data),
        };
        let mut response = Body::from(data).into_response();
        let headers = response.headers_mut();
        if let Ok(kind) = HeaderValue::from_str(content_type(name)) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if let Some((encoding, _)) = twin {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// The media types of what a generated page holds.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_scripts_are_allowed_by_their_hash_alone() {
        let html = r#"<script type="module" src="/a.js"></script><script>alert(1)</script>"#;
        let hashes = inline_scripts(html);
        // `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`
        assert_eq!(hashes, BTreeSet::from(["'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='".to_owned()]));
    }

    #[test]
    fn the_page_may_call_its_api_and_nobody_else() {
        let policy = policy("http://localhost:3001", &BTreeSet::new()).unwrap();
        let policy = policy.to_str().unwrap();
        assert!(policy.contains("connect-src 'self' http://localhost:3001 ws://localhost:3001;"), "{policy}");
        assert!(super::policy("nonsense", &BTreeSet::new()).is_err());
    }

    #[test]
    fn routes_of_the_app_are_html_to_browsers_and_missing_files_are_missing() {
        let html = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html,*/*"))]);
        assert_eq!(find("/videos/1", &html).status(), StatusCode::OK);
        assert_eq!(find("/videos/1", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
        assert_eq!(find("/missing.png", &html).status(), StatusCode::NOT_FOUND);
    }
}

//! Stands before an emulator and answers some calls itself, as AWS does when it refuses.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};

/// What is answered instead of the emulator.
pub struct Refusal {
    /// A part of the operation, such as `PutParameter` or `Action=GetCallerIdentity`.
    pub operation: &'static str,
    /// Calls that go through before.
    pub after: usize,
    /// How many are refused then.
    pub times: usize,
    pub status: u16,
    pub body: String,
}

struct Shared {
    upstream: String,
    refusals: Mutex<Vec<Refusal>>,
    calls: Mutex<Vec<String>>,
    client: reqwest::Client,
}

/// A running proxy; dropped, it ends.
pub struct Proxy {
    pub endpoint: String,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    pub fn start(upstream: &str, refusals: Vec<Refusal>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            refusals: Mutex::new(refusals),
            calls: Mutex::default(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async { axum::serve(listener, router).await });
        Self { endpoint, shared, _runtime: runtime }
    }

    /// How many calls of an operation came, refused ones among them.
    pub fn calls(&self, operation: &str) -> usize {
        self.shared.calls.lock().unwrap().iter().filter(|call| call.contains(operation)).count()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let call = if target.is_empty() { String::from_utf8_lossy(&body).into_owned() } else { target.to_owned() };
    let refused = refused(&shared, &call);
    shared.calls.lock().unwrap().push(call);
    if let Some((status, body)) = refused {
        let kind = if body.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.1" };
        let builder = Response::builder().status(StatusCode::from_u16(status).unwrap()).header("content-type", kind);
        return builder.header("x-amzn-requestid", "request-of-the-test").body(Body::from(body)).unwrap();
    }
    let (status, headers, body) = forward(&shared, &parts, body).await;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    // Lengths and encodings are this answer's own.
    response.headers_mut().extend(
        headers.into_iter().filter(|(name, _)| {
            name.as_ref().is_none_or(|name| name != "content-length" && name != "transfer-encoding")
        }),
    );
    response
}

fn refused(shared: &Shared, call: &str) -> Option<(u16, String)> {
    let mut refusals = shared.refusals.lock().unwrap();
    let refusal = refusals.iter_mut().find(|refusal| refusal.times > 0 && call.contains(refusal.operation))?;
    if refusal.after > 0 {
        refusal.after -= 1;
        return None;
    }
    refusal.times -= 1;
    Some((refusal.status, refusal.body.clone()))
}

async fn forward(shared: &Shared, parts: &axum::http::request::Parts, body: Bytes) -> (StatusCode, HeaderMap, Bytes) {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers.clone();
    headers.remove("host");
    let request = shared.client.request(parts.method.clone(), format!("{}{path}", shared.upstream));
    let response = request.headers(headers).body(body).send().await.unwrap();
    (response.status(), response.headers().clone(), response.bytes().await.unwrap())
}

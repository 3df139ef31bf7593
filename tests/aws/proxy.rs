//! Stands before an emulator and answers some calls itself, as AWS does when it refuses, or where the emulator has no
//! answer.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};

/// What is answered instead of by the emulator.
pub struct Answer {
    /// A part of the operation, such as `PutParameter`, `Action=GetCallerIdentity` or a path.
    pub operation: &'static str,
    /// Calls that go through before.
    pub after: usize,
    /// How many are answered so then.
    pub times: usize,
    pub status: u16,
    pub body: String,
}

struct Shared {
    upstream: String,
    answers: Mutex<Vec<Answer>>,
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
    pub fn start(upstream: &str, answers: Vec<Answer>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            answers: Mutex::new(answers),
            calls: Mutex::default(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let router = axum::Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async { axum::serve(listener, router).await });
        Self { endpoint, shared, _runtime: runtime }
    }

    /// Answers one more operation itself.
    pub fn answer(&self, answer: Answer) {
        self.shared.answers.lock().unwrap().push(answer);
    }

    /// How many calls of an operation came, refused ones among them.
    pub fn calls(&self, operation: &str) -> usize {
        self.shared.calls.lock().unwrap().iter().filter(|call| call.contains(operation)).count()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let call = match (target, body.as_ref()) {
        ("", b"") => parts.uri.path().to_owned(),
        ("", form) => String::from_utf8_lossy(form).into_owned(),
        (target, _) => target.to_owned(),
    };
    let own = own_answer(&shared, &call);
    shared.calls.lock().unwrap().push(call);
    if let Some((status, body)) = own {
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

fn own_answer(shared: &Shared, call: &str) -> Option<(u16, String)> {
    let mut answers = shared.answers.lock().unwrap();
    let answer = answers.iter_mut().find(|answer| answer.times > 0 && call.contains(answer.operation))?;
    if answer.after > 0 {
        answer.after -= 1;
        return None;
    }
    answer.times -= 1;
    Some((answer.status, answer.body.clone()))
}

async fn forward(shared: &Shared, parts: &axum::http::request::Parts, body: Bytes) -> (StatusCode, HeaderMap, Bytes) {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers.clone();
    headers.remove("host");
    let request = shared.client.request(parts.method.clone(), format!("{}{path}", shared.upstream));
    let response = request.headers(headers).body(body).send().await.unwrap();
    (response.status(), response.headers().clone(), response.bytes().await.unwrap())
}

//! AWS Lambda, played on this machine: the runtime's API as it is documented
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), the real program behind it, frozen between
//! two invocations as Lambda freezes it; and API Gateway's `@connections`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::process::{Process, eventually, folder};

/// How long an invocation may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A function: the program, and who gives it work. Dropped, it ends.
pub struct Function {
    runtime: Arc<Runtime>,
    folder: TempDir,
    _process: Process,
}

struct Runtime {
    work: mpsc::UnboundedSender<(String, Value)>,
    next: tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
    answers: Mutex<HashMap<String, oneshot::Sender<Result<Value, Value>>>>,
    pid_file: std::path::PathBuf,
    ready: tokio::sync::Notify,
    ended: Mutex<Option<Value>>,
    number: AtomicU64,
}

impl Runtime {
    /// The program stands still, in the middle of whatever it does in the background.
    fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = std::fs::read_to_string(&self.pid_file).unwrap();
        kill(Pid::from_raw(pid.trim().parse().unwrap()), signal).unwrap();
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    runtime.ready.notify_one();
    let mut queue = runtime.next.lock().await;
    let (id, event) = match queue.try_recv() {
        Ok(work) => work,
        Err(_) => {
            runtime.freeze();
            let work = queue.recv().await.expect("the test is over");
            runtime.thaw();
            work
        }
    };
    let deadline = (SystemTime::now() + LIMIT).duration_since(UNIX_EPOCH).unwrap().as_millis();
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:f:live".to_owned()),
    ];
    (headers, event.to_string()).into_response()
}

async fn settle(
    State(runtime): State<Arc<Runtime>>,
    Path((id, how)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let answer = runtime.answers.lock().unwrap().remove(&id).expect("an invocation that goes on");
    // Who asked may have given up.
    let _ = answer.send(if how == "response" { Ok(value) } else { Err(value) });
    StatusCode::ACCEPTED
}

async fn init_error(State(runtime): State<Arc<Runtime>>, body: Bytes) -> StatusCode {
    *runtime.ended.lock().unwrap() = Some(serde_json::from_slice(&body).unwrap_or(Value::Null));
    StatusCode::ACCEPTED
}

/// Serves a router on a free port, until the runtime of the test ends.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

impl Function {
    /// Starts the program as Lambda does, without arguments, and waits until it asks for work.
    pub async fn start(kind: &str, variables: &[(String, String)]) -> Self {
        Self::start_program(kind, variables, env!("CARGO_BIN_EXE_streamify")).await
    }

    pub async fn start_program(kind: &str, variables: &[(String, String)], program: &str) -> Self {
        let folder = folder();
        let (work, queue) = mpsc::unbounded_channel();
        let runtime = Arc::new(Runtime {
            work,
            next: tokio::sync::Mutex::new(queue),
            answers: Mutex::default(),
            pid_file: folder.path().join("pid"),
            ready: tokio::sync::Notify::new(),
            ended: Mutex::default(),
            number: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{how}", post(settle))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&runtime));
        let address = serve(router).await;
        let fixed = [
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("_HANDLER", "bootstrap"),
            ("STREAMIFY_LAMBDA", kind),
        ];
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let environment: Vec<(&str, &str)> = fixed.into_iter().chain(variables).collect();
        let log = folder.path().join("log");
        let command = ["sh", "-c", r#"echo $$ >pid; exec "$0""#, program];
        let process = Process::start(&command, &log, &environment);
        let asked = tokio::time::timeout(Duration::from_secs(60), runtime.ready.notified()).await;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(asked.is_ok(), "the function never asked for work:\n{said}");
        Self { runtime, folder, _process: process }
    }

    /// Invokes it, and waits for what it answers; an error is what Lambda would be told.
    pub async fn invoke(&self, event: Value) -> Result<Value, Value> {
        let id = format!("invocation-{}", self.runtime.number.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.runtime.answers.lock().unwrap().insert(id.clone(), sender);
        self.runtime.work.send((id, event)).unwrap();
        let answer = tokio::time::timeout(LIMIT, receiver).await;
        answer.unwrap_or_else(|_| panic!("no answer:\n{}", self.log())).unwrap()
    }

    /// A request as an HTTP API passes it on (payload 2.0); gives the status and the body.
    pub async fn request(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut headers = json!({"host": "id.execute-api.eu-west-1.amazonaws.com", "content-type": "application/json"});
        if let Some(token) = token {
            headers["authorization"] = format!("Bearer {token}").into();
        }
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
            "requestContext": {
                "accountId": "123456789012", "apiId": "id", "domainName": "id.execute-api.eu-west-1.amazonaws.com",
                "domainPrefix": "id", "requestId": "r", "routeKey": "$default", "stage": "$default",
                "time": "24/Nov/2026:12:00:00 +0000", "timeEpoch": 1_790_000_000_000_u64,
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                         "userAgent": "tests"},
            },
            "body": body.map(|body| body.to_string()), "isBase64Encoded": false,
        });
        let answer = self.invoke(event).await.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        let text = answer["body"].as_str().unwrap_or_default();
        let status = u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap();
        (status, serde_json::from_str(text).unwrap_or(Value::String(text.to_owned())))
    }

    /// Tells it to end, as Lambda does, and tells how long that takes.
    pub fn terminate(&self) -> Duration {
        let pid = std::fs::read_to_string(&self.runtime.pid_file).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let is_in = |state: &str| std::fs::read_to_string(&stat).map_or(state == ") Z ", |text| text.contains(state));
        eventually("it stands still after its last answer", || is_in(") T "));
        let began = std::time::Instant::now();
        self.runtime.signal(Signal::SIGTERM);
        self.runtime.thaw();
        // Its keeper waits for it at the end of the test only.
        eventually("it has ended", || is_in(") Z "));
        began.elapsed()
    }

    /// What it said on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The other end of a WebSocket API's connections.
#[derive(Clone, Default)]
pub struct Gateway(Arc<Mutex<Clients>>);

/// What clients saw, and how they behave.
#[derive(Default)]
pub struct Clients {
    /// By connection, in their order.
    pub messages: HashMap<String, Vec<Value>>,
    pub closed: HashSet<String>,
    pub gone: HashSet<String>,
    /// Never answered.
    pub silent: HashSet<String>,
    /// Refused with an error of the server's, also when it is to be closed.
    pub broken: HashSet<String>,
}

impl Gateway {
    /// Starts it; gives it and its address, stage included.
    pub async fn start() -> (Self, String) {
        let gateway = Self::default();
        let router =
            Router::new().route("/prod/@connections/{id}", post(take).delete(close)).with_state(gateway.clone());
        let address = serve(router).await;
        (gateway, format!("http://{address}/prod"))
    }

    pub fn clients(&self) -> MutexGuard<'_, Clients> {
        self.0.lock().unwrap()
    }

    /// What one connection was sent, by type.
    pub fn types(&self, id: &str) -> Vec<String> {
        let clients = self.clients();
        let messages = clients.messages.get(id).map(Vec::as_slice).unwrap_or_default();
        messages.iter().map(|message| message["type"].as_str().unwrap().to_owned()).collect()
    }
}

/// The refusal of a request that is not signed for this service.
fn unsigned(headers: &HeaderMap) -> Option<StatusCode> {
    let signature = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_signed =
        signature.starts_with("AWS4-HMAC-SHA256 ") && signature.contains("/eu-west-1/execute-api/aws4_request");
    (!is_signed).then_some(StatusCode::FORBIDDEN)
}

async fn take(State(gateway): State<Gateway>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(refused) = unsigned(&headers) {
        return refused;
    }
    let is_silent = gateway.clients().silent.contains(&id);
    if is_silent {
        std::future::pending::<()>().await;
    }
    let mut clients = gateway.clients();
    if clients.broken.contains(&id) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    if clients.gone.contains(&id) || clients.closed.contains(&id) {
        return StatusCode::GONE;
    }
    clients.messages.entry(id).or_default().push(serde_json::from_slice(&body).unwrap());
    StatusCode::OK
}

async fn close(State(gateway): State<Gateway>, Path(id): Path<String>, headers: HeaderMap) -> StatusCode {
    if let Some(refused) = unsigned(&headers) {
        return refused;
    }
    let mut clients = gateway.clients();
    if clients.broken.contains(&id) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    if clients.gone.contains(&id) || !clients.closed.insert(id) { StatusCode::GONE } else { StatusCode::NO_CONTENT }
}

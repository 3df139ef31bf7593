//! The cold start of the backend as a function of AWS Lambda: from the start of the process, as the runtime's API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>) sees it.

use std::collections::VecDeque;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::database::Database;
use crate::process::{Process, STREAMIFY, last_lines, median};
use crate::report::{Line, Unit};
use crate::stack::Stack;
use crate::{Result, runtime};

/// Requests of one start: the first one is the cold one.
const REQUESTS: usize = 20;
/// How long a start with all its requests may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// When what was asked.
#[derive(Default)]
struct Seen {
    /// When the process asked for work, each time.
    asked: Vec<Instant>,
    /// When it answered, each time.
    answered: Vec<Instant>,
    refused: VecDeque<String>,
}

type Shared = Arc<(Mutex<Seen>, tokio::sync::Notify)>;

pub fn measure(stack: &Stack, quick: bool) -> Result<Vec<Line>> {
    let rounds = if quick { 3 } else { 30 };
    runtime()?.block_on(async {
        let database = Database::create(&stack.database).await?;
        let lines = run(stack, &database.url, rounds).await;
        database.drop().await?;
        lines
    })
}

async fn run(stack: &Stack, database: &str, rounds: usize) -> Result<Vec<Line>> {
    let (mut init, mut first, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (begun, seen) = start(stack, database).await?;
        let since = |at: &Instant| at.duration_since(begun).as_secs_f64();
        init.push(since(&seen.asked[0]));
        first.push(since(&seen.answered[0]));
        let pairs = seen.asked.iter().zip(&seen.answered).skip(1);
        warm.extend(pairs.map(|(asked, answered)| answered.duration_since(*asked).as_secs_f64()));
    }
    Ok(vec![
        Line::new("start to the first request for work", Unit::Time, median(&init)),
        Line::new("start to the first answer, with PostgreSQL", Unit::Time, median(&first)),
        Line::new("an answer of a warm function", Unit::Time, median(&warm)),
    ])
}

/// Starts the function once, and gives it all requests.
async fn start(stack: &Stack, database: &str) -> Result<(Instant, Seen)> {
    let shared = Shared::default();
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(refuse))
        .with_state(Arc::clone(&shared));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut command = Command::new(STREAMIFY);
    command
        .current_dir(folder.path())
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "figures")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("STREAMIFY_LAMBDA", "http")
        .env("STREAMIFY_LOG", "warn")
        .env("DATABASE_URL", database)
        .env("KAFKA_BROKERS", &stack.kafka)
        .env("JWT_KEYS", "figures:a key that signs nothing but figures");
    let begun = Instant::now();
    let process = Process::start(&mut command, &log)?;
    let done = async {
        while seen(&shared, |seen| seen.answered.len() < REQUESTS && seen.refused.is_empty()) {
            shared.1.notified().await;
        }
    };
    let is_done = timeout(PATIENCE, done).await.is_ok();
    drop(process);
    serving.abort();
    let refused = seen(&shared, |seen| seen.refused.pop_front());
    if !is_done || refused.is_some() {
        let said = last_lines(&std::fs::read_to_string(&log).unwrap_or_default());
        let why = refused.unwrap_or_else(|| "it did not answer in time".to_owned());
        return Err(format!("the function failed: {why}; it said:\n{said}").into());
    }
    Ok((begun, seen(&shared, std::mem::take)))
}

fn seen<T>(shared: &Shared, look: impl FnOnce(&mut Seen) -> T) -> T {
    look(&mut shared.0.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn next(State(shared): State<Shared>) -> Response {
    let count = seen(&shared, |seen| {
        seen.asked.push(Instant::now());
        seen.asked.len()
    });
    if count > REQUESTS {
        std::future::pending::<()>().await;
    }
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PATIENCE;
    let headers = [
        ("lambda-runtime-aws-request-id", count.to_string()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:figures".to_owned()),
    ];
    let request = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/health/ready", "rawQueryString": "",
        "headers": {"host": "localhost"}, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "", "apiId": "", "domainName": "localhost", "domainPrefix": "", "requestId": "figures",
            "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0,
            "http": {"method": "GET", "path": "/health/ready", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                     "userAgent": "figures"},
        },
    });
    (headers, request.to_string()).into_response()
}

async fn answer(State(shared): State<Shared>, body: String) -> StatusCode {
    let is_ready = serde_json::from_str::<serde_json::Value>(&body).is_ok_and(|answer| answer["statusCode"] == 200);
    seen(&shared, |seen| {
        seen.answered.push(Instant::now());
        if !is_ready {
            seen.refused.push_back(body);
        }
    });
    shared.1.notify_one();
    StatusCode::ACCEPTED
}

async fn refuse(State(shared): State<Shared>, body: String) -> StatusCode {
    seen(&shared, |seen| seen.refused.push_back(body));
    shared.1.notify_one();
    StatusCode::ACCEPTED
}

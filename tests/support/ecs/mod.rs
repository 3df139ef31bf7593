//! ECS, played: services, service deployments, revisions, tasks and events as a state machine over a clock that tests
//! turn. It speaks JSON 1.1 as ECS does, and holds requests and answers to the SDK's own model.
//!
//! No emulator plays service deployments. Everything else (`DynamoDB`, logs, parameters) is a real emulator's.
//! `POST /admin/clock {"advance": SECONDS}` and `{"rate": N}` turn the clock from outside.

pub mod channel;
mod model;
mod rollout;
mod state;
mod tasks;
mod terraform;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

pub use rollout::Fate;
pub use state::State;

/// A running server; dropped, it ends.
pub struct Ecs {
    pub port: u16,
    state: Arc<Mutex<State>>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Shares {
    state: Arc<Mutex<State>>,
    /// Where goes what is not played here: clusters, for Terraform. Without it all of ECS is this server.
    behind: Option<String>,
    logs: aws_sdk_cloudwatchlogs::Client,
}

/// An error in ECS's words.
pub struct Refusal(pub &'static str, pub String);

impl Ecs {
    /// Starts it; what tasks print goes to the logs of `emulator`.
    pub fn start(emulator: &str) -> Self {
        Self::with(emulator, None)
    }

    /// Starts it in front of an emulator's ECS, which keeps the clusters; services are in the one of this name. What
    /// tasks print goes to the logs of `logs`.
    #[allow(dead_code, reason = "the tests of the whole infrastructure use it")]
    pub fn in_front_of(behind: &str, cluster: &str, logs: &str) -> Self {
        let ecs = Self::with(logs, Some(behind.to_owned()));
        cluster.clone_into(&mut ecs.state().cluster);
        ecs
    }

    fn with(emulator: &str, behind: Option<String>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let credentials = aws_credential_types::Credentials::new("test", "test", None, None, "tests");
        let config = aws_sdk_cloudwatchlogs::config::Builder::new()
            .behavior_version(aws_sdk_cloudwatchlogs::config::BehaviorVersion::latest())
            .region(aws_sdk_cloudwatchlogs::config::Region::new(super::aws::REGION))
            .endpoint_url(emulator)
            .credentials_provider(credentials)
            .build();
        let logs = aws_sdk_cloudwatchlogs::Client::from_conf(config);
        let shares = Shares { state: Arc::clone(&state), behind, logs };
        let router = Router::new().route("/", post(call)).route("/admin/clock", post(clock)).with_state(shares);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { port, state, _runtime: runtime }
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The world that it plays.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn clock(Shared(shares): Shared<Shares>, Json(wish): Json<Value>) -> Json<Value> {
    let mut state = shares.state.lock().unwrap();
    if let Some(rate) = wish["rate"].as_f64() {
        state.clock.set_rate(rate);
    }
    if let Some(seconds) = wish["advance"].as_f64() {
        state.clock.advance(seconds);
    }
    let now = state.clock.now();
    state.step();
    Json(json!({"now": now}))
}

async fn call(Shared(shares): Shared<Shares>, headers: HeaderMap, body: String) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("AmazonEC2ContainerServiceV20141113.").unwrap_or(target).to_owned();
    let held = {
        let mut state = shares.state.lock().unwrap();
        state.calls.push(operation.clone());
        state.held.clone()
    };
    if let Some(behind) = &shares.behind
        && (!model::is_played(&operation) || is_of_cluster(&operation, &body))
    {
        return pass(behind, &headers, body).await;
    }
    let answer = answer(&shares, &operation, &body);
    flush(&shares).await;
    // The change is made, and its answer never comes: as for a process that is killed at this point.
    if held.as_deref() == Some(operation.as_str()) {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    let json = |status: StatusCode, value: &Value| {
        (status, [("content-type", "application/x-amz-json-1.1")], value.to_string()).into_response()
    };
    match answer {
        Ok(value) => json(StatusCode::OK, &value),
        Err(Refusal(kind, message)) => json(StatusCode::BAD_REQUEST, &json!({"__type": kind, "message": message})),
    }
}

/// Whether what is asked is a cluster's and not a service's: those are not kept here.
fn is_of_cluster(operation: &str, body: &str) -> bool {
    operation == "DescribeClusters" || (operation.contains("Tag") && body.contains(":cluster/"))
}

/// Hands a request on as it is.
async fn pass(behind: &str, headers: &HeaderMap, body: String) -> Response {
    let mut request = reqwest::Client::new().post(behind).body(body);
    for (name, value) in headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length") {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(answer) => {
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            (status, [("content-type", "application/x-amz-json-1.1")], text).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

fn answer(shares: &Shares, operation: &str, body: &str) -> Result<Value, Refusal> {
    let request: Value =
        serde_json::from_str(body).map_err(|error| Refusal("SerializationException", error.to_string()))?;
    let mut state = shares.state.lock().unwrap();
    if let Err(wrong) = model::request(operation, &request) {
        state.wrong.push(format!("{operation}: {wrong}"));
        return Err(Refusal("InvalidParameterException", wrong));
    }
    if state.expired_after.is_some_and(|count| state.calls.len() > count) {
        return Err(Refusal("ExpiredTokenException", "The security token included in the request is expired".into()));
    }
    if let Some(left) = state.throttled.get_mut(operation).filter(|left| **left > 0) {
        *left -= 1;
        return Err(Refusal("ThrottlingException", "Rate exceeded".into()));
    }
    state.step();
    let answer = state.answer(operation, &request)?;
    if let Err(wrong) = model::answer(operation, &answer) {
        state.wrong.push(format!("answer of {operation}: {wrong}"));
        return Err(Refusal("ServerException", wrong));
    }
    Ok(answer)
}

/// Hands what tasks have printed to the emulator of logs.
async fn flush(shares: &Shares) {
    use aws_sdk_cloudwatchlogs::types::InputLogEvent;
    let lines = std::mem::take(&mut shares.state.lock().unwrap().printed);
    for (group, stream, texts) in lines {
        // Both may be there already.
        let _ = shares.logs.create_log_group().log_group_name(&group).send().await;
        let _ = shares.logs.create_log_stream().log_group_name(&group).log_stream_name(&stream).send().await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let mut put = shares.logs.put_log_events().log_group_name(&group).log_stream_name(&stream);
        for (index, text) in texts.iter().enumerate() {
            let at = i64::try_from(now).unwrap() + i64::try_from(index).unwrap();
            put = put.log_events(InputLogEvent::builder().timestamp(at).message(text).build().unwrap());
        }
        put.send().await.unwrap();
    }
}

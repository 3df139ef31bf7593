//! The function behind everything that is no request: Kafka's records, the schedule, and deploys.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::delivery::{Memory, deliver};
use super::kafka::records;
use super::sockets::{Socket, Sockets};
use super::websocket::end;
use super::{App, ended, left};
use crate::Error;
use crate::config::Config;
use crate::modules::events::socket::TOKEN_REFUSED;

/// How long a client may take to show its token: a moment more than the clients themselves have.
const AUTH_WAIT: Duration = Duration::from_secs(30);
/// How long making the topic may take.
const TOPIC_WAIT: Duration = Duration::from_secs(20);
/// Connections that are closed at once.
const AT_ONCE: usize = 16;

/// Whoever brings the database's schema up to date, and tells what was applied; the error is in words.
pub type Migrate = Box<dyn Fn() -> BoxFuture<'static, Result<Vec<i64>, String>> + Send + Sync>;

/// What deploys and schedules ask for, as `{"streamify": "migrate"}`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Task {
    /// Bring the schema up to date, and make the topic.
    Migrate,
    /// Publish what is left in the outbox, and close connections without a good token.
    Sweep,
    /// Say that this version starts.
    Check,
}

impl Task {
    /// What is asked for; a schedule of `EventBridge` that says nothing of its own asks for a sweep.
    fn of(payload: &Value) -> Option<Self> {
        match payload.get("streamify") {
            Some(name) => Self::deserialize(name).ok(),
            None => (payload.get("source")? == "aws.events").then_some(Self::Sweep),
        }
    }
}

/// The answer to a deploy that asks whether this version starts.
pub(super) fn check(payload: &Value) -> Option<Value> {
    (Task::of(payload) == Some(Task::Check)).then(|| json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// Takes events, schedules and tasks until the runtime ends.
///
/// # Errors
/// A configuration that can't work, or a runtime that does not answer.
pub async fn serve_events(config: Config, sockets: Arc<dyn Sockets>, migrate: Migrate) -> Result<(), Error> {
    let function = Arc::new(Function { app: App::new(config)?, sockets, migrate, memory: Memory::default() });
    ended(
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
            let function = Arc::clone(&function);
            async move { function.take(event).await }
        }))
        .await,
    )
}

struct Function {
    app: App,
    sockets: Arc<dyn Sockets>,
    migrate: Migrate,
    memory: Memory,
}

impl Function {
    async fn take(&self, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
        self.app.wake();
        let LambdaEvent { payload, context } = event;
        if let Some(records) = records(&payload) {
            let count = records.len();
            let deliver = deliver(&*self.sockets, &self.memory, records);
            // Said before the function is ended from outside: the batch comes again either way.
            let delivered = tokio::time::timeout(left(&context), deliver)
                .await
                .unwrap_or_else(|_| Err("the function's time is over".to_owned()))
                .inspect_err(|why| tracing::error!(records = count, why, "a batch of events comes again"))?;
            tracing::info!(
                records = count,
                posted = delivered.posted,
                gone = delivered.gone,
                closed = delivered.closed,
                "events"
            );
            return Ok(json!({ "records": count, "posted": delivered.posted }));
        }
        match Task::of(&payload) {
            Some(Task::Check) => Ok(check(&payload).unwrap_or_default()),
            Some(Task::Migrate) => self.migrate().await,
            Some(Task::Sweep) => self.sweep(&context).await,
            None => Err(format!(
                "neither records of Kafka nor a task: {}",
                payload.as_object().map_or_else(String::new, |object| {
                    object.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
                })
            )
            .into()),
        }
    }

    async fn migrate(&self) -> Result<Value, lambda_runtime::Error> {
        let applied = (self.migrate)().await?;
        if !self.app.state.events.ensure_topic(TOPIC_WAIT).await {
            return Err(format!("the topic could not be made in {} s", TOPIC_WAIT.as_secs()).into());
        }
        Ok(json!({ "applied": applied }))
    }

    async fn sweep(&self, context: &Context) -> Result<Value, lambda_runtime::Error> {
        let drain = tokio::time::timeout(left(context) / 2, self.app.outlet.drain());
        let (drained, closed) = tokio::join!(drain, self.close_expired());
        let published = drained.map_err(|_| "the outbox was not emptied in time".to_owned())??;
        Ok(json!({ "published": published, "closed": closed? }))
    }

    async fn close_expired(&self) -> Result<usize, String> {
        let now = OffsetDateTime::now_utc();
        let all = self.sockets.list().await?;
        let expired: Vec<Socket> = all.into_iter().filter(|socket| is_expired(socket, now)).collect();
        let closing = stream::iter(&expired).map(|socket| {
            let reason = if socket.session.is_some() { "the token has expired" } else { "no token came" };
            end(&*self.sockets, &socket.address, TOKEN_REFUSED, reason)
        });
        let results: Vec<Result<(), String>> = closing.buffer_unordered(AT_ONCE).collect().await;
        let count = results.len();
        results.into_iter().collect::<Result<Vec<()>, _>>().map(|_| count)
    }
}

fn is_expired(socket: &Socket, now: OffsetDateTime) -> bool {
    match socket.session {
        Some((_, expires_at)) => expires_at <= now,
        None => socket.opened_at + AUTH_WAIT <= now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_known_by_their_name_and_schedules_by_their_source() {
        assert_eq!(Task::of(&json!({"streamify": "migrate"})), Some(Task::Migrate));
        assert_eq!(Task::of(&json!({"source": "aws.events", "detail-type": "Scheduled Event"})), Some(Task::Sweep));
        assert_eq!(Task::of(&json!({"source": "aws.s3"})), None);
        assert_eq!(Task::of(&json!({"streamify": "nonsense", "source": "aws.events"})), None);
        assert_eq!(check(&json!({"streamify": "sweep"})), None);
    }
}

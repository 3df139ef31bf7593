//! The lock: a lease on the environment, held by a conditional write and kept by a heartbeat.
//!
//! The holder counts `version` up with every heartbeat. Whoever waits takes over only after it has seen no new version
//! for a whole lease by its own monotonic clock: no two hosts' clocks are ever compared. Every stage renews the lease
//! before it writes; a holder that was paused for too long finds out there and stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::record::Table;
use crate::failure::{Failure, Result};
use crate::report::Report;

/// How long a lock holds without a heartbeat, unless the environment says otherwise.
pub const LEASE: Duration = Duration::from_secs(60);

/// Who deploys.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// `name@host`.
    pub who: String,
    /// The page of the pipeline's run.
    pub url: Option<String>,
}

/// Who holds the lock, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub who: String,
    pub url: Option<String>,
    pub run: String,
    pub stage: String,
    pub since: String,
    version: u64,
    lease: Duration,
}

/// The lock, held. Dropped without [`Lease::release`] it ends with its lease.
pub struct Lease {
    table: Table,
    run: String,
    state: Arc<Mutex<State>>,
    lost: CancellationToken,
    stop: CancellationToken,
    duration: Duration,
}

struct State {
    version: u64,
    stage: String,
    renewed: Instant,
}

/// The failure of who has lost the lock.
pub(super) fn lost(environment: &str) -> Failure {
    Failure::failed(format!("lost the lock of {environment}: stopped before the next change"))
        .cause("no heartbeat reached DynamoDB for a whole lease, or somebody broke the lock")
        .hint(format!("`streamify status {environment}` shows what runs; deploying again goes on from there."))
}

impl Holder {
    fn of(item: &std::collections::HashMap<String, AttributeValue>) -> Self {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let number =
            |name: &str| item.get(name).and_then(|value| value.as_n().ok()).and_then(|n| n.parse::<u64>().ok());
        Self {
            who: text("who").unwrap_or_else(|| "somebody".into()),
            url: text("url"),
            run: text("run").unwrap_or_default(),
            stage: text("stage").unwrap_or_default(),
            since: text("since").unwrap_or_default(),
            version: number("version").unwrap_or(0),
            lease: Duration::from_millis(number("lease_millis").unwrap_or(60_000)),
        }
    }

    /// In words: who, since when, how far.
    pub fn words(&self) -> String {
        let url = self.url.as_ref().map(|url| format!(", {url}")).unwrap_or_default();
        format!("{} since {} (stage {}, run {}{url})", self.who, self.since, self.stage, self.run)
    }
}

impl Table {
    /// Who holds the lock, or left it behind.
    pub async fn holder(&self) -> Result<Option<Holder>> {
        let answer =
            self.cloud.dynamodb.get_item().table_name(&self.name).key("id", self.id("lock")).consistent_read(true);
        let answer = answer.send().await.map_err(|error| self.cloud.failure("can't read the lock", &error))?;
        Ok(answer.item().map(Holder::of))
    }

    /// Takes the lock away from the run that was seen holding it.
    pub async fn break_lock(&self, holder: &Holder) -> Result<()> {
        let delete = self
            .cloud
            .dynamodb
            .delete_item()
            .table_name(&self.name)
            .key("id", self.id("lock"))
            .condition_expression("#run = :run")
            .expression_attribute_names("#run", "run")
            .expression_attribute_values(":run", AttributeValue::S(holder.run.clone()));
        match delete.send().await {
            Err(error) if !is_conditional(&error) => Err(self.cloud.failure("can't break the lock", &error)),
            // Whoever held it has given it back meanwhile.
            _ => Ok(()),
        }
    }
}

fn is_conditional<E: aws_sdk_dynamodb::error::ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().and_then(|error| error.code()) == Some("ConditionalCheckFailedException")
}

impl Lease {
    /// Takes the lock, from whoever left it behind if need be.
    ///
    /// # Errors
    /// Somebody holds it and lives: told as soon as a heartbeat of theirs is seen, or after `patience`.
    pub async fn acquire(
        table: &Table,
        owner: &Owner,
        lease: Duration,
        patience: Option<Duration>,
        report: &dyn Report,
    ) -> Result<Self> {
        let run = uuid::Uuid::new_v4().to_string();
        let begun = Instant::now();
        let mut seen: Option<(Holder, Instant)> = None;
        loop {
            let Some(holder) = put(table, &run, owner, lease, None).await? else { break };
            match &seen {
                Some((before, since)) if before.run == holder.run && before.version == holder.version => {
                    if since.elapsed() >= holder.lease {
                        if put(table, &run, owner, lease, Some(&holder)).await?.is_none() {
                            report.warning(&format!(
                                "took the lock over: no heartbeat for {} s from {}",
                                holder.lease.as_secs_f64().round(),
                                holder.words()
                            ));
                            break;
                        }
                        seen = None;
                        continue;
                    }
                }
                Some(_) => {
                    if patience.is_none_or(|patience| begun.elapsed() >= patience) {
                        return Err(held(table, &holder));
                    }
                    seen = Some((holder, Instant::now()));
                }
                None => {
                    report.doing("lock", &format!("held by {}: waiting for a sign of life", holder.words()));
                    seen = Some((holder, Instant::now()));
                }
            }
            let pause = seen.as_ref().map_or(lease, |(holder, _)| holder.lease) / 20;
            tokio::time::sleep(pause.clamp(Duration::from_millis(50), Duration::from_secs(3))).await;
        }
        let state = State { version: 1, stage: "lock".into(), renewed: Instant::now() };
        let held = Self {
            table: table.clone(),
            run,
            state: Arc::new(Mutex::new(state)),
            lost: CancellationToken::new(),
            stop: CancellationToken::new(),
            duration: lease,
        };
        held.beat();
        Ok(held)
    }

    /// The id of this run, by which others see who holds the lock.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Says which stage begins, and that the lock is still ours.
    ///
    /// # Errors
    /// It is lost: nothing more may be written.
    pub async fn check(&self, stage: &str) -> Result<()> {
        if self.lost.is_cancelled() {
            return Err(lost(&self.table.environment));
        }
        self.state.lock().await.stage = stage.to_owned();
        renew(&self.table, &self.run, &self.state).await.inspect_err(|failure| {
            if *failure == lost(&self.table.environment) {
                self.lost.cancel();
            }
        })
    }

    /// Gives the lock back.
    pub async fn release(self) -> Result<()> {
        self.stop.cancel();
        let holder = Holder { run: self.run.clone(), ..Holder::of(&std::collections::HashMap::new()) };
        self.table.break_lock(&holder).await
    }

    fn beat(&self) {
        let (table, run, state) = (self.table.clone(), self.run.clone(), Arc::clone(&self.state));
        let (lost, stop, lease) = (self.lost.clone(), self.stop.clone(), self.duration);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(lease / 4) => {}
                    () = stop.cancelled() => return,
                    () = lost.cancelled() => return,
                }
                let renewed = tokio::select! {
                    renewed = renew(&table, &run, &state) => renewed,
                    () = stop.cancelled() => return,
                };
                if let Err(failure) = renewed {
                    // An answer that never came may come next time, until the lease is over.
                    let is_over = state.lock().await.renewed.elapsed() >= lease;
                    if is_over || failure == self::lost(&table.environment) {
                        lost.cancel();
                        return;
                    }
                }
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Counts the version up, if the lock is still of this run.
async fn renew(table: &Table, run: &str, state: &Mutex<State>) -> Result<()> {
    // One renewal at a time: versions only grow.
    let mut state = state.lock().await;
    let begun = Instant::now();
    let next = state.version + 1;
    let update = table
        .cloud
        .dynamodb
        .update_item()
        .table_name(&table.name)
        .key("id", table.id("lock"))
        .update_expression("SET #version = :next, #stage = :stage, #expires = :expires")
        .expression_attribute_names("#version", "version")
        .expression_attribute_names("#stage", "stage")
        .expression_attribute_names("#expires", "expires_at")
        .condition_expression("#run = :run")
        .expression_attribute_names("#run", "run")
        .expression_attribute_values(":next", AttributeValue::N(next.to_string()))
        .expression_attribute_values(":stage", AttributeValue::S(state.stage.clone()))
        .expression_attribute_values(":expires", expires())
        .expression_attribute_values(":run", AttributeValue::S(run.to_owned()));
    match update.send().await {
        Ok(_) => {
            state.version = next;
            state.renewed = begun;
            Ok(())
        }
        Err(error) if is_conditional(&error) => Err(lost(&table.environment)),
        Err(error) => Err(table.cloud.failure("can't renew the lock", &error)),
    }
}

/// When `DynamoDB` may sweep a lock away that was left behind: long after anybody could wait for it.
fn expires() -> AttributeValue {
    AttributeValue::N((Timestamp::now().as_second() + 24 * 60 * 60).to_string())
}

/// Writes the lock where there is none, or over the one of `old`; else who holds it.
async fn put(table: &Table, run: &str, owner: &Owner, lease: Duration, old: Option<&Holder>) -> Result<Option<Holder>> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let since = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let mut put = table
        .cloud
        .dynamodb
        .put_item()
        .table_name(&table.name)
        .item("id", table.id("lock"))
        .item("run", text(run))
        .item("who", text(&owner.who))
        .item("since", text(&since))
        .item("stage", text("lock"))
        .item("version", AttributeValue::N("1".into()))
        .item("lease_millis", AttributeValue::N(lease.as_millis().to_string()))
        .item("expires_at", expires())
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    if let Some(url) = &owner.url {
        put = put.item("url", text(url));
    }
    put = match old {
        None => put.condition_expression("attribute_not_exists(id)"),
        Some(old) => put
            .condition_expression("#run = :run AND #version = :version")
            .expression_attribute_names("#run", "run")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":run", text(&old.run))
            .expression_attribute_values(":version", AttributeValue::N(old.version.to_string())),
    };
    match put.send().await {
        Ok(_) => Ok(None),
        Err(error) if is_conditional(&error) => {
            let item = error.into_service_error();
            let item = match &item {
                aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(old) => old.item(),
                _ => None,
            };
            match item {
                Some(item) if item.get("run").and_then(|value| value.as_s().ok()).is_some_and(|own| own == run) => {
                    // A retried request whose first answer was lost: the lock is ours.
                    Ok(None)
                }
                Some(item) => Ok(Some(Holder::of(item))),
                None => {
                    Ok(Some(table.holder().await?.unwrap_or_else(|| Holder::of(&std::collections::HashMap::new()))))
                }
            }
        }
        Err(error) => Err(table.cloud.failure("can't take the lock", &error)),
    }
}

fn held(table: &Table, holder: &Holder) -> Failure {
    let environment = &table.environment;
    Failure::failed(format!("{environment} is being deployed by {}", holder.words()))
        .hint(format!("`streamify status {environment}` shows how far it is; --wait waits for its end."))
        .hint(format!("If nobody deploys any more: streamify deploy {environment} --break-lock"))
}

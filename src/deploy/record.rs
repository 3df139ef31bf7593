//! What was deployed: one item a deploy in the `DynamoDB` table, and their number. Nothing here expires.
//!
//! | id | what |
//! |---|---|
//! | `ENV/lock` | the lock, see `lock` |
//! | `ENV/head` | `number`: how many deploys there were |
//! | `ENV/deploy/00000042` | a [`Record`], as JSON in `document` |
//!
//! Records are written together with a look at the lock: who has lost it changes no history.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, KeysAndAttributes, Put, ReturnValue, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::Cloud;
use crate::failure::{Failure, OrFail, Result};

/// How a deploy ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It goes on, or was killed.
    #[default]
    Running,
    /// Every service runs what was wanted.
    Succeeded,
    /// It did not work, and was not taken back by itself.
    Failed,
    /// It did not work, and ECS or the tool took it back.
    RolledBack,
    /// Another deployment came in between.
    Superseded,
    /// Somebody stopped it.
    Stopped,
    /// The time ran out while it was going on.
    TimedOut,
    /// It was left to itself.
    Detached,
    /// It was killed, and a later deploy found it.
    Interrupted,
}

impl Ending {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled back",
            Self::Superseded => "superseded",
            Self::Stopped => "stopped",
            Self::TimedOut => "timed out",
            Self::Detached => "detached",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    #[default]
    Deploy,
    Rollback,
    Restart,
}

/// What one service got.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deployed {
    /// The ECS service's name.
    pub name: String,
    /// The revision's ARN; empty until it is registered.
    #[serde(default)]
    pub task_definition: String,
    /// The one before.
    #[serde(default)]
    pub before: String,
    /// Tasks that the file asked for.
    #[serde(default)]
    pub replicas: u32,
}

/// How long a stage took.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StageTime {
    pub name: String,
    pub seconds: f64,
}

/// One deploy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Record {
    pub number: u64,
    pub purpose: Purpose,
    /// `name@host`.
    pub who: String,
    /// The page of the pipeline's run.
    pub url: Option<String>,
    /// The commit that was checked out.
    pub commit: Option<String>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub ending: Ending,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// By the image's name.
    pub images: BTreeMap<String, String>,
    pub services: BTreeMap<String, Deployed>,
    pub stages: Vec<StageTime>,
    /// For a rollback: where to.
    pub target: Option<u64>,
    /// A later rollback took it back: it is not good any more.
    pub taken_back_by: Option<u64>,
}

impl Record {
    /// Every service ran it, and nobody took it back.
    pub fn is_good(&self) -> bool {
        self.ending == Ending::Succeeded && self.taken_back_by.is_none() && self.purpose != Purpose::Restart
    }

    /// Seconds from begin to end.
    pub fn seconds(&self) -> Option<f64> {
        let took = self.finished_at?.duration_since(self.started_at);
        Some(took.as_secs_f64())
    }
}

/// The table of the lock and the history, for one environment.
#[derive(Clone)]
pub struct Table {
    pub(super) cloud: Arc<Cloud>,
    pub(super) name: String,
    pub(super) environment: String,
}

impl Table {
    /// The table by its name.
    pub fn new(cloud: &Arc<Cloud>, name: &str, environment: &str) -> Self {
        Self { cloud: Arc::clone(cloud), name: name.to_owned(), environment: environment.to_owned() }
    }

    pub(super) fn id(&self, what: &str) -> AttributeValue {
        AttributeValue::S(format!("{}/{what}", self.environment))
    }

    fn deploy_id(&self, number: u64) -> AttributeValue {
        self.id(&format!("deploy/{number:08}"))
    }

    /// Gives the record its number and writes it, if `run` still holds the lock.
    pub(super) async fn begin(&self, record: &mut Record, run: &str) -> Result<()> {
        let answer = self
            .cloud
            .dynamodb
            .update_item()
            .table_name(&self.name)
            .key("id", self.id("head"))
            .update_expression("ADD #number :one")
            .expression_attribute_names("#number", "number")
            .expression_attribute_values(":one", AttributeValue::N("1".into()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| self.cloud.failure("can't number the deploy", &error))?;
        let number = answer.attributes().and_then(|all| all.get("number")).and_then(|value| value.as_n().ok());
        record.number = number
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Failure::failed("can't number the deploy").cause("DynamoDB answered without a number"))?;
        self.write(record, run).await
    }

    /// Writes the record, if `run` still holds the lock.
    pub(super) async fn write(&self, record: &Record, run: &str) -> Result<()> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .key("id", self.id("lock"))
            .condition_expression("#run = :run")
            .expression_attribute_names("#run", "run")
            .expression_attribute_values(":run", AttributeValue::S(run.to_owned()))
            .build();
        let put = Put::builder()
            .table_name(&self.name)
            .item("id", self.deploy_id(record.number))
            .item("document", AttributeValue::S(document(record)?))
            .build();
        let failed =
            |error: &dyn std::error::Error| Failure::failed("can't write the history").cause(error.to_string());
        let write = self
            .cloud
            .dynamodb
            .transact_write_items()
            .transact_items(
                TransactWriteItem::builder().condition_check(check.map_err(|error| failed(&error))?).build(),
            )
            .transact_items(TransactWriteItem::builder().put(put.map_err(|error| failed(&error))?).build());
        write.send().await.map_err(|error| {
            if error.as_service_error().is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) {
                super::lock::lost(&self.environment)
            } else {
                self.cloud.failure("can't write the history", &error)
            }
        })?;
        Ok(())
    }

    /// The newest deploys, newest first.
    pub async fn newest(&self, limit: u64) -> Result<Vec<Record>> {
        let last = self.last_number().await?;
        let numbers: Vec<u64> = (last.saturating_sub(limit) + 1..=last).rev().collect();
        let mut records = Vec::new();
        // A batch of DynamoDB has a hundred keys at most.
        for numbers in numbers.chunks(100) {
            records.extend(self.batch(numbers).await?);
        }
        records.sort_by_key(|record: &Record| std::cmp::Reverse(record.number));
        Ok(records)
    }

    async fn last_number(&self) -> Result<u64> {
        let answer = self
            .cloud
            .dynamodb
            .get_item()
            .table_name(&self.name)
            .key("id", self.id("head"))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.cloud.failure("can't read the history", &error))?;
        let number = answer.item().and_then(|item| item.get("number")).and_then(|value| value.as_n().ok());
        Ok(number.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    async fn batch(&self, numbers: &[u64]) -> Result<Vec<Record>> {
        let keys =
            numbers.iter().map(|number| std::collections::HashMap::from([("id".to_owned(), self.deploy_id(*number))]));
        let keys = KeysAndAttributes::builder().set_keys(Some(keys.collect())).consistent_read(true).build();
        let mut wanted = std::collections::HashMap::from([(
            self.name.clone(),
            keys.or_fail(|| "can't read the history".to_owned())?,
        )]);
        let mut records = Vec::new();
        while !wanted.is_empty() {
            let answer = self
                .cloud
                .dynamodb
                .batch_get_item()
                .set_request_items(Some(std::mem::take(&mut wanted)))
                .send()
                .await
                .map_err(|error| self.cloud.failure("can't read the history", &error))?;
            for item in answer.responses().and_then(|all| all.get(&self.name)).into_iter().flatten() {
                if let Some(text) = item.get("document").and_then(|value| value.as_s().ok()) {
                    let record =
                        serde_json::from_str(text).or_fail(|| "can't read a record of the history".to_owned())?;
                    records.push(record);
                }
            }
            // What DynamoDB did not get to is asked for again.
            wanted = answer.unprocessed_keys().cloned().unwrap_or_default();
        }
        Ok(records)
    }
}

fn document(record: &Record) -> Result<String> {
    serde_json::to_string(record).or_fail(|| "can't write a record of the history".to_owned())
}

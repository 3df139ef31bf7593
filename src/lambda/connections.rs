//! The connections of a WebSocket API: kept in a `DynamoDB` table, and reached by API Gateway's `@connections`
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html>).
//!
//! | attribute | what |
//! |---|---|
//! | `id` | the connection's id; the table's key |
//! | `domain`, `stage` | the API that it was opened on |
//! | `opened_at` | seconds since 1970 |
//! | `expires_at` | the table's TTL, seconds since 1970: API Gateway ends every connection before |
//! | `user`, `token_expires_at` | who follows, and until when the token is good; not there before the first one |

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures_util::future::BoxFuture;
use reqwest::{Method, StatusCode};
use streamify_backend::lambda::{Address, Follow, Posted, Socket, Sockets};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::aws::{Aws, Call, Service};
use crate::failure::{Failure, Result};
use crate::settings::Environment;

/// API Gateway ends a connection after two hours; a row that outlives it was never told.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60 + 10 * 60);
/// How long one message may take.
const POST: Duration = Duration::from_secs(3);

/// The table, and the way to the clients.
pub struct Connections {
    aws: Aws,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    /// Where connections are reached, where that is not where they were opened.
    endpoint: Option<String>,
}

type Item = HashMap<String, AttributeValue>;

impl Connections {
    /// By the process's variables. Nothing is asked yet.
    ///
    /// # Errors
    /// No table is named, or no region.
    pub async fn of(process: &Environment) -> Result<Self> {
        let table = process.get("STREAMIFY_CONNECTIONS_TABLE").ok_or_else(|| {
            Failure::usage("STREAMIFY_CONNECTIONS_TABLE is not set")
                .hint("It names the DynamoDB table of the WebSocket API's connections.")
        })?;
        let aws = Aws::of_process(process).await?;
        let endpoint = process.get("STREAMIFY_WEBSOCKET_ENDPOINT").map(str::to_owned);
        Ok(Self { dynamodb: aws.dynamodb(), aws, table: table.to_owned(), endpoint })
    }

    fn call(&self, method: Method, address: &Address) -> Call {
        let usual = || format!("https://{}/{}", address.domain, address.stage);
        let path = format!("/@connections/{}", Call::part(&address.id));
        // Whoever calls tries again, in its own time.
        Call::new(Service::Connections, method, path)
            .at(self.endpoint.clone().unwrap_or_else(usual))
            .once()
            .timeout(POST)
    }

    async fn keep(&self, address: &Address) -> Result<()> {
        let now = OffsetDateTime::now_utc();
        let update = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .key("id", text(&address.id))
            .update_expression("SET #domain = :domain, #stage = :stage, opened_at = :now, expires_at = :expires")
            .expression_attribute_names("#domain", "domain")
            .expression_attribute_names("#stage", "stage")
            .expression_attribute_values(":domain", text(&address.domain))
            .expression_attribute_values(":stage", text(&address.stage))
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":expires", seconds(now + LONGEST));
        update.send().await.map_err(|error| self.aws.failure("can't keep a connection", &error))?;
        Ok(())
    }

    async fn session(&self, address: &Address, user: Uuid, expires_at: OffsetDateTime) -> Result<Follow> {
        let now = OffsetDateTime::now_utc();
        let update = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .key("id", text(&address.id))
            .update_expression(
                "SET #user = :user, token_expires_at = :token, #domain = :domain, #stage = :stage, \
                 opened_at = if_not_exists(opened_at, :now), expires_at = if_not_exists(expires_at, :expires)",
            )
            .condition_expression("attribute_not_exists(#user) OR #user = :user")
            .expression_attribute_names("#user", "user")
            .expression_attribute_names("#domain", "domain")
            .expression_attribute_names("#stage", "stage")
            .expression_attribute_values(":user", text(&user.to_string()))
            .expression_attribute_values(":token", seconds(expires_at))
            .expression_attribute_values(":domain", text(&address.domain))
            .expression_attribute_values(":stage", text(&address.stage))
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":expires", seconds(now + LONGEST))
            .return_values(ReturnValue::AllOld);
        match update.send().await {
            Ok(answer) => {
                let was_there = answer.attributes().is_some_and(|old| old.contains_key("user"));
                Ok(if was_there { Follow::Renewed } else { Follow::Begun })
            }
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(Follow::SomebodyElses)
            }
            Err(error) => Err(self.aws.failure("can't keep who follows on a connection", &error)),
        }
    }

    async fn delete(&self, address: &Address) -> Result<()> {
        let delete = self.dynamodb.delete_item().table_name(&self.table).key("id", text(&address.id));
        delete.send().await.map_err(|error| self.aws.failure("can't forget a connection", &error))?;
        Ok(())
    }

    async fn all(&self) -> Result<Vec<Socket>> {
        // An index would be read as it was a moment ago: whoever has just come would miss an event.
        let pages = self.dynamodb.scan().table_name(&self.table).consistent_read(true).into_paginator();
        let mut items = pages.items().send();
        let mut all = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| self.aws.failure("can't list the connections", &error))?;
            match socket(&item) {
                Some(socket) => all.push(socket),
                None => tracing::warn!(id = ?item.get("id"), "a row of the table is no connection"),
            }
        }
        Ok(all)
    }

    async fn send(&self, address: &Address, text: &str) -> Result<Posted> {
        let doing = "can't write to a connection";
        let reply = self.aws.call(&self.call(Method::POST, address).body(text), doing).await?;
        match reply.status {
            StatusCode::GONE => Ok(Posted::Gone),
            status if status.is_success() => Ok(Posted::Taken),
            _ => Err(self.aws.refused_by(&reply, doing)),
        }
    }

    async fn end(&self, address: &Address) -> Result<()> {
        let doing = "can't close a connection";
        let reply = self.aws.call(&self.call(Method::DELETE, address), doing).await?;
        match reply.status {
            StatusCode::GONE => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(self.aws.refused_by(&reply, doing)),
        }
    }
}

impl Sockets for Connections {
    fn open<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, std::result::Result<(), String>> {
        Box::pin(async { self.keep(address).await.map_err(words) })
    }

    fn follow<'a>(
        &'a self,
        address: &'a Address,
        user: Uuid,
        expires_at: OffsetDateTime,
    ) -> BoxFuture<'a, std::result::Result<Follow, String>> {
        Box::pin(async move { self.session(address, user, expires_at).await.map_err(words) })
    }

    fn forget<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, std::result::Result<(), String>> {
        Box::pin(async { self.delete(address).await.map_err(words) })
    }

    fn list(&self) -> BoxFuture<'_, std::result::Result<Vec<Socket>, String>> {
        Box::pin(async { self.all().await.map_err(words) })
    }

    fn post<'a>(&'a self, address: &'a Address, text: &'a str) -> BoxFuture<'a, std::result::Result<Posted, String>> {
        Box::pin(async { self.send(address, text).await.map_err(words) })
    }

    fn close<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, std::result::Result<(), String>> {
        Box::pin(async { self.end(address).await.map_err(words) })
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn words(failure: Failure) -> String {
    failure.to_string()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn seconds(time: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(time.unix_timestamp().to_string())
}

fn socket(item: &Item) -> Option<Socket> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    let time = |name: &str| {
        let number = item.get(name).and_then(|value| value.as_n().ok())?;
        OffsetDateTime::from_unix_timestamp(number.parse().ok()?).ok()
    };
    let address = Address { id: text("id")?.clone(), domain: text("domain")?.clone(), stage: text("stage")?.clone() };
    let user = text("user").and_then(|user| user.parse().ok());
    Some(Socket { address, opened_at: time("opened_at")?, session: user.zip(time("token_expires_at")) })
}

//! The WebSocket API: the protocol of `/ws`, one message an invocation.
//!
//! What is different from `/ws`, since API Gateway holds the connection: a server can't choose the code that a
//! connection is closed with, so a message `{"type":"closing","code":4401,"reason":…}` comes before it; an event may
//! come before `ready`, and then counts; and a client that says nothing for ten minutes is disconnected, and resumes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sockets::{Address, Follow, Posted, Sockets};
use super::{App, delivery, ended, events};
use crate::Error;
use crate::config::Config;
use crate::http::is_allowed_origin;
use crate::modules::events::LARGEST_MESSAGE;
use crate::modules::events::socket::{POLICY, TOKEN_REFUSED, parse};

/// How long one message to a client may take.
const WRITE_WAIT: Duration = Duration::from_secs(5);

/// What API Gateway tells of a connection.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_context: RequestContext,
    /// Only of a connection that is being opened.
    headers: Option<HashMap<String, String>>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    event_type: EventType,
    connection_id: String,
    domain_name: String,
    stage: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum EventType {
    Connect,
    Message,
    Disconnect,
}

/// What API Gateway is told; anything but success refuses a connection that is being opened.
#[derive(Serialize)]
struct Answer {
    #[serde(rename = "statusCode")]
    status: u16,
}

/// Serves the connections of a WebSocket API until the runtime ends.
///
/// # Errors
/// A configuration that can't work, or a runtime that does not answer.
pub async fn serve_websocket(config: Config, sockets: Arc<dyn Sockets>) -> Result<(), Error> {
    let app = Arc::new(App::new(config)?);
    ended(
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
            let (app, sockets) = (Arc::clone(&app), Arc::clone(&sockets));
            async move { take(&app, &*sockets, event.payload).await }
        }))
        .await,
    )
}

async fn take(app: &App, sockets: &dyn Sockets, payload: Value) -> Result<Value, lambda_runtime::Error> {
    if let Some(checked) = events::check(&payload) {
        return Ok(checked);
    }
    let event: Event =
        serde_json::from_value(payload).map_err(|error| format!("no event of a WebSocket API: {error}"))?;
    let address = Address {
        id: event.request_context.connection_id.clone(),
        domain: event.request_context.domain_name.clone(),
        stage: event.request_context.stage.clone(),
    };
    let status = match event.request_context.event_type {
        EventType::Connect if !is_allowed(app, event.headers.as_ref()) => 403,
        EventType::Connect => {
            sockets.open(&address).await?;
            200
        }
        EventType::Disconnect => {
            sockets.forget(&address).await?;
            200
        }
        EventType::Message => {
            message(app, sockets, &address, &event).await?;
            200
        }
    };
    Ok(json!(Answer { status }))
}

/// Whether the page that opens the connection is one that may, as on `/ws`.
fn is_allowed(app: &App, headers: Option<&HashMap<String, String>>) -> bool {
    let headers: HeaderMap = headers
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.as_str()).ok()?))
        })
        .collect();
    is_allowed_origin(&headers, &app.state.config.allowed_origins)
}

async fn message(app: &App, sockets: &dyn Sockets, address: &Address, event: &Event) -> Result<(), String> {
    let text = event.body.as_deref().unwrap_or_default();
    if event.is_base64_encoded {
        return end(sockets, address, POLICY, "text messages only").await;
    }
    let parsed = Some(text).filter(|text| text.len() <= LARGEST_MESSAGE).and_then(parse);
    let Some((token, last)) = parsed else {
        return end(sockets, address, POLICY, "the first message must be of the type auth").await;
    };
    let Some(identity) = app.state.tokens.verify(&token) else {
        return end(sockets, address, TOKEN_REFUSED, "the token is not valid").await;
    };
    // Kept before `ready` is said: who adds a video after seeing it is told of that video.
    match sockets.follow(address, identity.user, identity.expires_at).await? {
        Follow::SomebodyElses => return end(sockets, address, TOKEN_REFUSED, "the token is not valid").await,
        Follow::Renewed => return Ok(()),
        Follow::Begun => {}
    }
    let mut frames = vec![r#"{"type":"ready"}"#.to_owned()];
    if let Some(last) = last {
        match app.state.events.missed(last).await {
            Some(missed) => frames.extend(missed),
            None => frames.push(r#"{"type":"reset"}"#.to_owned()),
        }
    }
    for frame in frames {
        let posted = tokio::time::timeout(WRITE_WAIT, delivery::post(sockets, address, &frame)).await;
        match posted.unwrap_or_else(|_| Err("it took too long".to_owned())) {
            Ok(Posted::Taken) => {}
            Ok(Posted::Gone) => return sockets.forget(address).await,
            Err(why) => {
                // A client that has missed one must not go on from the next.
                tracing::warn!(connection = address.id, why, "can't tell a client what it missed");
                sockets.close(address).await?;
                return sockets.forget(address).await;
            }
        }
    }
    Ok(())
}

/// Tells a client why, and ends its connection.
pub(super) async fn end(sockets: &dyn Sockets, address: &Address, code: u16, reason: &str) -> Result<(), String> {
    let frame = json!({ "type": "closing", "code": code, "reason": reason }).to_string();
    if let Err(why) = sockets.post(address, &frame).await {
        tracing::debug!(connection = address.id, why, "can't say why a connection ends");
    }
    sockets.close(address).await?;
    sockets.forget(address).await
}

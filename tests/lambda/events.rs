//! Kafka's records as a function's event, and the connections that they are posted to.

use std::time::{Duration, Instant};

use serde_json::json;

use super::world::{World, batch, envelope, user};
use crate::support::backend::nowhere;
use crate::support::lambda::Function;

/// Functions with these connections open, all of one user.
async fn open(world: &World, ids: &[&str]) -> Function {
    let (http, websocket) = (world.function("http").await, world.function("websocket").await);
    let token = user(&http, "hugo").await;
    for id in ids {
        let message = json!({
            "requestContext": {"eventType": "MESSAGE", "connectionId": id, "domainName": "ws.example.com", "stage": "prod"},
            "body": json!({"type": "auth", "token": token}).to_string(), "isBase64Encoded": false,
        });
        websocket.invoke(message).await.unwrap_or_else(|error| panic!("{error}\n{}", websocket.log()));
    }
    world.function("events").await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_gone_connections_hold_nobody_up() {
    let world = World::new(&nowhere()).await;
    let events = open(&world, &["a=", "b=", "gone=", "silent="]).await;
    {
        let mut clients = world.gateway.clients();
        clients.gone.insert("gone=".into());
        clients.silent.insert("silent=".into());
    }
    let began = Instant::now();
    let answer = events.invoke(batch("t", &[envelope(1), envelope(2), envelope(1)])).await;
    let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", events.log()));
    assert_eq!(answer, json!({"records": 3, "posted": 4}), "an event that comes twice is posted once");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    for id in ["a=", "b="] {
        assert_eq!(world.gateway.types(id), ["ready", "video.created", "video.created"]);
    }
    // Who takes nothing is closed, and comes back to resume; both are forgotten.
    assert!(world.gateway.clients().closed.contains("silent="));
    assert_eq!(world.kept().await, ["a=", "b="]);
    // The same batch again, as after a rebalance.
    assert_eq!(events.invoke(batch("t", &[envelope(1), envelope(2)])).await.unwrap()["posted"], 0);
    assert_eq!(world.gateway.types("a=").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_delivered_comes_again_and_is_lost_to_nobody() {
    let world = World::new(&nowhere()).await;
    let events = open(&world, &["a=", "b="]).await;
    world.gateway.clients().broken.insert("b=".into());
    let records = batch("t", &[envelope(1), envelope(2)]);
    let error = events.invoke(records.clone()).await.unwrap_err();
    let text = error["errorMessage"].as_str().unwrap();
    assert!(text.contains("1 of 2 connections") && text.contains("500"), "{error}");
    assert_eq!(world.gateway.types("a="), ["ready", "video.created", "video.created"]);
    world.gateway.clients().broken.clear();
    // Lambda invokes with the same batch until it succeeds; who has it already is not told twice.
    assert_eq!(events.invoke(records).await.unwrap()["posted"], 2);
    assert_eq!(world.gateway.types("a=").len(), 3);
    assert_eq!(world.gateway.types("b="), ["ready", "video.created", "video.created"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_passed_over_and_what_nobody_knows_is_refused() {
    let world = World::new(&nowhere()).await;
    let events = open(&world, &["a="]).await;
    let answer = events.invoke(batch("t", &["nonsense".into(), envelope(7)])).await.unwrap();
    assert_eq!(answer, json!({"records": 1, "posted": 1}));
    assert!(events.log().contains("not an event of this app"), "{}", events.log());
    let error = events.invoke(json!({"Records": [], "hello": 1})).await.unwrap_err();
    assert!(error["errorMessage"].as_str().unwrap().contains("hello"), "{error}");
    assert!(events.invoke(json!({"streamify": "check"})).await.unwrap()["version"].is_string());
}

//! The HTTP API as a function.

use std::time::Duration;

use serde_json::json;

use super::world::{World, add, user};
use crate::support::api::video;
use crate::support::backend::nowhere;
use crate::support::kafka::{Broker, Kind};
use crate::support::postgres::{execute, owed};

#[tokio::test(flavor = "multi_thread")]
async fn the_app_runs_as_a_function_and_events_are_out_before_it_answers() {
    let broker = tokio::task::spawn_blocking(|| Broker::shared(Kind::Kraft)).await.unwrap();
    let world = World::with_kafka(broker).await;
    let http = world.function("http").await;
    let (status, body) = http.request("GET", "/health/ready", None, None).await;
    assert_eq!(status, 200, "{body}\n{}", http.log());
    let token = user(&http, "anna").await;
    let id = add(&http, &token, "a film").await;
    // The function stands still since it answered: whatever it meant to do later would not have happened.
    assert_eq!(owed(&world.database).await, 0, "{}", http.log());
    let topic = world.topic.clone();
    let stored = tokio::task::spawn_blocking(move || broker.read(&topic)).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].key, id);

    let (status, page) = http.request("GET", "/api/videos?limit=5&q=film", Some(&token), None).await;
    assert_eq!((status, page["items"][0]["id"].as_str()), (200, Some(id.as_str())), "{page}");
    let (status, problem) = http.request("GET", "/api/videos", None, None).await;
    assert_eq!((status, problem["status"].as_u64()), (401, Some(401)), "{problem}");
    let (status, _) = http.request("GET", "/nowhere", None, None).await;
    assert_eq!(status, 404);
    assert!(!http.log().contains(&"t".repeat(40)), "a key is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_told_to_end_ends_at_once() {
    let world = World::new(&nowhere()).await;
    let http = world.function("http").await;
    assert_eq!(http.request("GET", "/health/live", None, None).await.0, 200);
    let took = http.terminate();
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_broke_while_it_was_frozen_are_replaced() {
    let world = World::new(&nowhere()).await;
    let http = world.function("http").await;
    let token = user(&http, "ben").await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and pid <> pg_backend_pid()";
    for _ in 0..3 {
        execute(&world.database, kill).await;
        let (status, body) = http.request("GET", "/api/users/me", Some(&token), None).await;
        assert_eq!(status, 200, "{body}\n{}", http.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_wait_long_for_kafka_and_the_schedule_publishes_what_is_left() {
    let broker = tokio::task::spawn_blocking(|| Broker::prepared(Kind::Kraft)).await.unwrap();
    let world = World::new(&broker.address()).await;
    let http = world.function("http").await;
    let token = user(&http, "cleo").await;
    let began = std::time::Instant::now();
    let (status, _) = http.request("POST", "/api/videos", Some(&token), Some(video("waits"))).await;
    assert_eq!(status, 201);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(owed(&world.database).await, 1);
    drop(http);

    let topic = world.topic.clone();
    let broker = tokio::task::spawn_blocking(move || {
        broker.start();
        broker
    })
    .await
    .unwrap();
    let events = world.function("events").await;
    // Also makes the topic.
    let migrated = events.invoke(json!({"streamify": "migrate"})).await.unwrap();
    assert_eq!(migrated["applied"], json!([]), "the schema was there already");
    let swept = events.invoke(json!({"source": "aws.events", "detail-type": "Scheduled Event"})).await;
    assert_eq!(swept.unwrap_or_else(|error| panic!("{error}\n{}", events.log()))["published"], 1);
    assert_eq!(owed(&world.database).await, 0);
    let stored = tokio::task::spawn_blocking(move || broker.read(&topic)).await.unwrap();
    assert_eq!(stored.len(), 1);
}

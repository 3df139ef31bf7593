//! Nothing is lost: not when the broker is killed, not when the backend is, not when Kafka comes late.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::events::on_both_kinds;
use crate::support::api::{Api, video};
use crate::support::backend::{Backend, Program, config};
use crate::support::feed::{Feed, Next, PROBE, follow_until, until_followed};
use crate::support::kafka::{Broker, Kind};
use crate::support::postgres::{database, owed};

on_both_kinds!(a_killed_broker_loses_nothing);

/// The titles that a client is told that comes back whenever it is sent away, until it has all of them.
async fn collect(api: Api, wanted: impl Fn(&HashSet<String>) -> bool) -> HashSet<String> {
    let mut titles = HashSet::new();
    let take = |titles: &mut HashSet<String>, event: &serde_json::Value| {
        titles.insert(event["data"]["title"].as_str().unwrap().to_owned());
    };
    let missing = |titles: &HashSet<String>| format!("{} came", titles.len());
    follow_until(&api, Duration::from_secs(100), &mut titles, take, wanted, missing).await;
    titles
}

async fn a_killed_broker_loses_nothing(kind: Kind) {
    let broker = Arc::new(tokio::task::spawn_blocking(move || Broker::new(kind)).await.unwrap());
    let url = database().await;
    let backend = Backend::start(config(&url, &broker.address())).await;
    backend.ready().await;
    let api = backend.api().as_new_user("ada").await;
    let expected: HashSet<String> = (0..300).map(|number| format!("video {number}")).collect();
    let is_told = Arc::new(AtomicBool::new(false));
    let following = tokio::spawn({
        let (everything, is_told) = (expected.clone(), Arc::clone(&is_told));
        collect(api.clone(), move |titles| {
            is_told.fetch_or(!titles.is_empty(), Ordering::Release);
            titles.is_superset(&everything)
        })
    });
    until_followed(&api, &is_told).await;
    for number in 0..300 {
        if number == 100 {
            tokio::task::spawn_blocking({
                let broker = Arc::clone(&broker);
                move || broker.kill()
            })
            .await
            .unwrap();
        }
        // With the broker away, videos are added all the same.
        api.add_video(&format!("video {number}")).await;
        if number == 200 {
            assert!(owed(&url).await >= 100);
            tokio::task::spawn_blocking({
                let broker = Arc::clone(&broker);
                move || broker.start()
            })
            .await
            .unwrap();
        }
    }
    let mut came = following.await.unwrap();
    came.remove(PROBE);
    assert_eq!(came, expected);
    // A commit may be a moment behind the delivery.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(owed(&url).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_loses_nothing_that_it_has_accepted() {
    let broker = tokio::task::spawn_blocking(|| Broker::new(Kind::Kraft)).await.unwrap();
    let mut program = Program::start(&database().await, &broker.address()).await;
    let api = Api::new(&program.address).as_new_user("ada").await;
    let is_told = Arc::new(AtomicBool::new(false));
    let following = tokio::spawn({
        let is_told = Arc::clone(&is_told);
        collect(api.clone(), move |titles| {
            is_told.fetch_or(!titles.is_empty(), Ordering::Release);
            titles.iter().filter(|title| *title != PROBE).count() == 400
        })
    });
    until_followed(&api, &is_told).await;
    let accepted = Arc::new(std::sync::Mutex::new(HashSet::new()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(100);
    let adding: Vec<_> = (0..4)
        .map(|worker| {
            let (api, accepted) = (api.clone(), Arc::clone(&accepted));
            tokio::spawn(async move {
                for number in 0..100 {
                    let title = format!("video {worker}.{number}");
                    // As a person would: again, until it is accepted.
                    loop {
                        let sent = api.request("POST", "/api/videos").json(&video(&title)).send().await;
                        if sent.as_ref().is_ok_and(|response| response.status() == 201) {
                            break;
                        }
                        assert!(tokio::time::Instant::now() < deadline, "not accepted: {sent:?}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    accepted.lock().unwrap().insert(title);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        })
        .collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        program.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        program.restart().await;
    }
    for worker in adding {
        worker.await.unwrap();
    }
    let mut came = following.await.unwrap();
    came.remove(PROBE);
    assert_eq!(came, *accepted.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_may_come_last() {
    let broker = Arc::new(tokio::task::spawn_blocking(|| Broker::prepared(Kind::Kraft)).await.unwrap());
    let url = database().await;
    let backend = Backend::start(config(&url, &broker.address())).await;
    let api = backend.api().as_new_user("ada").await;
    let mut early = Feed::open(&backend.address).await;
    early.authenticate(api.token.as_deref().unwrap(), None).await;
    api.add_video("before there is a broker").await;
    assert_eq!(early.next(1).await, Next::Silence, "not ready: nothing tells yet what is news");
    tokio::task::spawn_blocking({
        let broker = Arc::clone(&broker);
        move || broker.start()
    })
    .await
    .unwrap();
    assert_eq!(early.next(60).await, Next::Frame(serde_json::json!({ "type": "ready" })));
    api.add_video("after it is ready").await;
    while early.titles(1).await != ["after it is ready"] {}
    backend.ready().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(owed(&url).await, 0);
}

//! Readiness names what is missing.

use serde_json::Value;

use crate::support::backend::{Backend, config, nowhere};
use crate::support::kafka::{Broker, Kind};
use crate::support::postgres::{database, unmigrated_database};

/// The dependencies that are not ready, and the whole answer.
async fn failed(backend: &Backend) -> (Vec<String>, Value) {
    let api = backend.api();
    assert_eq!(api.request("GET", "/health/live").send().await.unwrap().status(), 200);
    let (status, body) = api.get("/health/ready").await;
    let checks = body["checks"].as_object().unwrap();
    let failed: Vec<String> =
        checks.iter().filter(|(_, check)| check["status"] != "ok").map(|(name, _)| name.clone()).collect();
    assert_eq!(status == 503, !failed.is_empty(), "{body}");
    (failed, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_missing_is_named() {
    let broker = tokio::task::spawn_blocking(|| Broker::shared(Kind::Kraft)).await.unwrap();
    let all = Backend::with_kafka(broker).await;
    assert!(failed(&all).await.0.is_empty());

    let no_kafka = Backend::start(config(&database().await, &nowhere())).await;
    assert_eq!(failed(&no_kafka).await.0, ["kafka"]);

    let unmigrated = Backend::start(config(&unmigrated_database().await, &broker.address())).await;
    let waiting = async {
        loop {
            let (failed, body) = failed(&unmigrated).await;
            // Kafka is ready only after its first moments.
            if failed == ["migrations"] {
                return body;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let body = tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.unwrap();
    assert!(body["checks"]["migrations"]["detail"].as_str().unwrap().contains("migrate run"), "{body}");

    let url = format!("postgres://nobody:hidden-password@{}/nothing", nowhere());
    let no_database = Backend::start(config(&url, &nowhere())).await;
    let (names, body) = failed(&no_database).await;
    assert_eq!(names, ["kafka", "migrations", "postgres"]);
    assert!(!body.to_string().contains("hidden-password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_ends_readiness_and_no_task() {
    let broker = std::sync::Arc::new(Broker::prepared(Kind::Kraft));
    let backend = Backend::start(config(&database().await, &broker.address())).await;
    let api = backend.api();
    let status = async |path: &str| api.get(path).await.0;
    // Before Kafka was there once, a new task has not proved itself.
    let (early, body) = api.get("/health/started").await;
    assert_eq!((early.as_u16(), &body["checks"]["kafka"]["status"]), (503, &Value::from("failed")));

    let other = std::sync::Arc::clone(&broker);
    tokio::task::spawn_blocking(move || other.start()).await.unwrap();
    let becomes = async |path: &str, wanted: u16| {
        let waiting = async {
            while status(path).await != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.unwrap();
    };
    becomes("/health/started", 200).await;
    let other = std::sync::Arc::clone(&broker);
    tokio::task::spawn_blocking(move || other.kill()).await.unwrap();
    becomes("/health/ready", 503).await;
    assert_eq!(status("/health/started").await, 200);
}

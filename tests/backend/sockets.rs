//! Sockets that are slow, busy or leave, while others follow.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::events::envelope;
use crate::support::api::Api;
use crate::support::backend::{Backend, config};
use crate::support::feed::{Feed, Next};
use crate::support::kafka::{Broker, Kind};
use crate::support::postgres::database;

/// A backend whose events have one order: its topic has one partition.
struct Ordered {
    backend: Backend,
    broker: &'static Broker,
    api: Api,
}

impl Ordered {
    async fn start() -> Self {
        let broker = tokio::task::spawn_blocking(|| Broker::shared(Kind::Kraft)).await.unwrap();
        let mut config = config(&database().await, &broker.address());
        config.kafka.partitions = 1;
        let backend = Backend::start(config).await;
        backend.ready().await;
        let api = backend.api().as_new_user("ada").await;
        Self { backend, broker, api }
    }

    /// Writes events with these numbers as titles, each with so many bytes of filling.
    async fn write(&self, numbers: std::ops::Range<usize>, filling: usize) {
        let (broker, topic) = (self.broker, self.backend.config.kafka.topic.clone());
        let events: Vec<_> = numbers.map(|number| envelope(Duration::ZERO, &number.to_string(), filling)).collect();
        tokio::task::spawn_blocking(move || broker.write(&topic, &events)).await.unwrap();
    }
}

fn number(event: &Value) -> usize {
    event["data"]["title"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_no_buffer_holds_arrives_whole_and_in_order() {
    const EVENTS: usize = 3_200;
    let ordered = Ordered::start().await;
    let mut busy = Feed::narrow(&ordered.api).await;
    let mut quick = Feed::follow(&ordered.api, None).await;
    ordered.write(0..EVENTS, 4_000).await;
    for expected in 0..EVENTS {
        assert_eq!(number(&quick.event().await), expected);
    }
    // It had other things to do for a moment; then it reads, and by the way follows what is new.
    sleep(Duration::from_secs(1)).await;
    ordered.write(EVENTS..EVENTS + 100, 10).await;
    for expected in 0..EVENTS + 100 {
        assert_eq!(number(&busy.event().await), expected);
    }
    for expected in EVENTS..EVENTS + 100 {
        assert_eq!(number(&quick.event().await), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_between_the_frames_of_events() {
    const EVENTS: usize = 1_500;
    const PINGS: usize = 100;
    let ordered = Ordered::start().await;
    let mut feed = Feed::narrow(&ordered.api).await;
    let following = async {
        for expected in 0..EVENTS {
            if expected % (EVENTS / PINGS) == 0 {
                feed.ping().await;
            }
            assert_eq!(number(&feed.event().await), expected);
        }
        // Each ping asks for an answer, but the newest one is enough (RFC 6455, section 5.5.3).
        while feed.pongs == 0 {
            assert_ne!(feed.next(10).await, Next::Silence, "no answer to a ping");
        }
        feed.pongs
    };
    let writing = async {
        for part in 0..EVENTS / 50 {
            ordered.write(part * 50..part * 50 + 50, part * 97 % 3_000).await;
        }
    };
    let (pongs, ()) = tokio::join!(following, writing);
    assert!((1..=PINGS).contains(&pongs), "{pongs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_behind_when_the_server_stops_reads_whole_events_and_why() {
    const EVENTS: usize = 1_000;
    let ordered = Ordered::start().await;
    let mut busy = Feed::narrow(&ordered.api).await;
    let mut quick = Feed::follow(&ordered.api, None).await;
    ordered.write(0..EVENTS, 8_000).await;
    for expected in 0..EVENTS {
        assert_eq!(number(&quick.event().await), expected);
    }
    let stopped = ordered.backend.stop();
    assert_eq!(quick.next(5).await, Next::Closed(1001));
    let mut expected = 0;
    let code = loop {
        match busy.next(10).await {
            Next::Frame(event) => {
                assert_eq!(number(&event), expected);
                expected += 1;
            }
            Next::Closed(code) => break code,
            Next::Silence => panic!("nobody said that it ends"),
        }
    };
    assert_eq!(code, 1001);
    assert!(expected > 0, "what was on its way comes first");
    tokio::time::timeout(Duration::from_secs(20), stopped).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_goodbye_is_answered() {
    let ordered = Ordered::start().await;
    let feed = Feed::follow(&ordered.api, None).await;
    assert!(feed.close().await);
}

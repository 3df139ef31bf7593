//! Events, from the request to the socket, on both kinds of Kafka.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::api::Api;
use crate::support::backend::{Backend, config};
use crate::support::feed::{Feed, Next};
use crate::support::kafka::{Broker, Kind};
use crate::support::postgres::{database, execute, owed};

/// The same tests on each kind.
macro_rules! on_both_kinds {
    ($($name:ident),* $(,)?) => {
        mod kraft {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::kafka::Kind::Kraft).await;
            })*
        }
        mod zookeeper {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::kafka::Kind::ZooKeeper).await;
            })*
        }
    };
}
pub(super) use on_both_kinds;

on_both_kinds!(
    a_video_reaches_every_socket_of_every_replica_and_kafka_as_it_was_told,
    who_comes_back_gets_what_was_missed_from_any_replica,
    what_the_memory_no_longer_holds_is_read_from_kafka,
    a_slow_client_is_sent_away_and_the_others_get_everything,
    relays_side_by_side_keep_the_order_of_each_key_and_lose_nothing,
);

async fn broker(kind: Kind) -> &'static Broker {
    tokio::task::spawn_blocking(move || Broker::shared(kind)).await.unwrap()
}

async fn read(broker: &'static Broker, topic: &str) -> Vec<crate::support::kafka::Stored> {
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || broker.read(&topic)).await.unwrap()
}

async fn a_video_reaches_every_socket_of_every_replica_and_kafka_as_it_was_told(kind: Kind) {
    let broker = broker(kind).await;
    let backend = Backend::with_kafka(broker).await;
    let replica = backend.replica().await;
    let api = backend.api().as_new_user("ada").await;
    let mut feeds = vec![
        Feed::follow(&api, None).await,
        Feed::follow(&api, None).await,
        Feed::follow(&api.at(&replica.address), None).await,
    ];
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = api.request("POST", "/api/videos").header("traceparent", traceparent);
    let body = json!({ "title": "Told", "url": "https://example.com/a.mp4" });
    let video: Value = request.json(&body).send().await.unwrap().json().await.unwrap();

    let stored = {
        let mut events = Vec::new();
        for feed in &mut feeds {
            events.push(feed.event().await);
        }
        let stored = read(broker, &backend.config.kafka.topic).await;
        assert_eq!(stored.len(), 1);
        let value: Value = serde_json::from_str(&stored[0].value).unwrap();
        assert!(events.iter().all(|event| *event == value), "{events:?}");
        stored.into_iter().next().unwrap()
    };
    let event: Value = serde_json::from_str(&stored.value).unwrap();
    assert_eq!((&event["type"], &event["schema_version"]), (&json!("video.created"), &json!(1)));
    assert_eq!(event["data"], video);
    assert_eq!(stored.key, video["id"].as_str().unwrap());
    assert_eq!(event["id"].as_str().unwrap().parse::<Uuid>().unwrap().get_version_num(), 7);
    let headers: HashMap<_, _> = stored.headers.into_iter().collect();
    assert_eq!(headers["id"], event["id"].as_str().unwrap());
    assert_eq!((headers["schema_version"].as_str(), headers["content-type"].as_str()), ("1", "application/json"));
    let (trace, span) = (&headers["traceparent"][..36], &headers["traceparent"][36..52]);
    assert!(traceparent.starts_with(trace) && !traceparent.contains(span), "the same trace, a span of its own");
}

async fn who_comes_back_gets_what_was_missed_from_any_replica(kind: Kind) {
    let backend = Backend::with_kafka(broker(kind).await).await;
    let replica = backend.replica().await;
    let api = backend.api().as_new_user("ada").await;
    let mut feed = Feed::follow(&api, None).await;
    api.add_video("seen").await;
    let seen = feed.event().await;
    let seen = seen["id"].as_str().unwrap();
    drop(feed);
    let missed: Vec<String> = (0..20).map(|number| format!("missed {number}")).collect();
    for title in &missed {
        api.add_video(title).await;
    }
    let fresh = backend.replica().await;
    for (before, address) in [&backend.address, &replica.address, &fresh.address].into_iter().enumerate() {
        let mut feed = Feed::follow(&api.at(address), Some(seen)).await;
        // Those of the rounds before were missed as well; partitions are told in no order among each other.
        let mut titles = feed.titles(missed.len() + before).await;
        titles.retain(|title| title != "live");
        titles.sort_by_key(|title| missed.iter().position(|missed| missed == title));
        assert_eq!(titles, missed);
        api.add_video("live").await;
        assert_eq!(feed.titles(1).await, ["live"]);
        // The next address is not to see this one as missed.
        let (_, page) = api.get("/api/videos?q=live").await;
        let path = format!("/api/videos/{}", page["items"][0]["id"].as_str().unwrap());
        assert_eq!(api.delete(&path).await.0, 204);
        if address != &fresh.address {
            drop(feed);
        }
    }
    let mut strange = Feed::follow(&api, Some(&Uuid::now_v7().to_string())).await;
    assert_eq!(strange.next(30).await, Next::Frame(json!({ "type": "reset" })), "an event that never was");
    api.add_video("after").await;
    assert_eq!(strange.titles(1).await, ["after"]);
}

/// An envelope as the backend writes it, of some time ago.
pub(super) fn envelope(ago: Duration, title: &str, filling: usize) -> (String, String, i64) {
    let time = OffsetDateTime::now_utc() - ago;
    let seconds = u64::try_from(time.unix_timestamp()).unwrap();
    let id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, time.nanosecond()));
    let value = json!({
        "id": id, "type": "video.created", "schema_version": 1, "occurred_at": "2026-01-01T00:00:00Z",
        "data": { "title": title, "description": "x".repeat(filling) },
    });
    (id.to_string(), value.to_string(), i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap())
}

async fn what_the_memory_no_longer_holds_is_read_from_kafka(kind: Kind) {
    let broker = broker(kind).await;
    let first = Backend::with_kafka(broker).await;
    let topic = first.config.kafka.topic.clone();
    // Older than what a start reads back into memory.
    let old: Vec<_> =
        (0..40).map(|number| envelope(Duration::from_secs(3_600 - number * 10), &format!("old {number}"), 0)).collect();
    tokio::task::spawn_blocking({
        let (topic, old) = (topic.clone(), old.clone());
        move || broker.write(&topic, &old)
    })
    .await
    .unwrap();
    let backend = first.replica().await;
    let api = backend.api().as_new_user("ada").await;
    let mut feed = Feed::follow(&api, Some(&old[19].0)).await;
    let mut titles = feed.titles(20).await;
    titles.sort();
    assert_eq!(titles, (20..40).map(|number| format!("old {number}")).collect::<Vec<_>>());
    api.add_video("live").await;
    assert_eq!(feed.titles(1).await, ["live"]);
    // The newest one was seen: nothing was missed, and nobody is sent away.
    let mut quiet = Feed::follow(&api, Some(&old[39].0)).await;
    assert_eq!(quiet.titles(1).await, ["live"]);
}

async fn a_slow_client_is_sent_away_and_the_others_get_everything(kind: Kind) {
    const EVENTS: usize = 6_000;
    let broker = broker(kind).await;
    let backend = Backend::with_kafka(broker).await;
    let api = backend.api().as_new_user("ada").await;
    let mut slow = Feed::follow(&api, None).await;
    let mut quick = Feed::follow(&api, None).await;
    let topic = backend.config.kafka.topic.clone();
    let writing = tokio::task::spawn_blocking(move || {
        for burst in 0..EVENTS / 500 {
            let title = |number| format!("event {}", burst * 500 + number);
            let events: Vec<_> = (0..500).map(|number| envelope(Duration::ZERO, &title(number), 4_000)).collect();
            broker.write(&topic, &events);
        }
    });
    assert_eq!(quick.titles(EVENTS).await.len(), EVENTS);
    writing.await.unwrap();
    // The slow one reads at last what had been sent to it, and then why there is no more.
    let mut last = None;
    let code = loop {
        match slow.next(30).await {
            Next::Frame(event) => last = Some(event),
            Next::Closed(code) => break code,
            Next::Silence => panic!("it was forgotten"),
        }
    };
    assert_eq!(code, 4008);
    let last = last.expect("what was sent before");
    // Coming back, it gets the rest.
    let mut back = Feed::follow(&api, last["id"].as_str()).await;
    assert!(matches!(back.next(30).await, Next::Frame(event) if event["type"] == "video.created"));
}

async fn relays_side_by_side_keep_the_order_of_each_key_and_lose_nothing(kind: Kind) {
    const KEYS: usize = 12;
    const EACH: usize = 25;
    let broker = broker(kind).await;
    let url = database().await;
    let backend = Backend::start(config(&url, &broker.address())).await;
    backend.ready().await;
    let replica = backend.replica().await;
    let api = backend.api().as_new_user("ada").await;
    let mut feed = Feed::follow(&api, None).await;
    let adding = async |address: &str, name: &str| {
        let api = api.at(address);
        for number in 0..100 {
            api.add_video(&format!("{name} {number}")).await;
        }
    };
    // Several events of one key, as a later version that tells of changes too would write them.
    let keyed = async {
        let keys: Vec<Uuid> = (0..KEYS).map(|_| Uuid::now_v7()).collect();
        for number in 0..EACH {
            let rows = keys.iter().map(|key| {
                let (id, value, _) = envelope(Duration::ZERO, &format!("{key} {number}"), 0);
                format!("('{id}', '{key}', '{value}')")
            });
            let rows: Vec<String> = rows.collect();
            execute(&url, &format!("insert into outbox (id, key, payload) values {}", rows.join(","))).await;
        }
    };
    tokio::join!(adding(&backend.address, "one"), adding(&replica.address, "two"), keyed);
    let titles = feed.titles(200 + KEYS * EACH).await;
    let mut next: HashMap<&str, usize> = HashMap::new();
    for title in &titles {
        let (key, number) = title.rsplit_once(' ').unwrap();
        // The videos that the requests added are keys of their own, in no order among each other.
        if key.len() > 3 {
            let expected = next.entry(key).or_default();
            assert_eq!(number.parse::<usize>().unwrap(), *expected, "{key}");
            *expected += 1;
        }
    }
    assert_eq!(next.len(), KEYS);
    assert!(next.values().all(|count| *count == EACH));
    for name in ["one", "two"] {
        let mut numbers: Vec<usize> =
            titles.iter().filter_map(|title| title.strip_prefix(name)?.trim().parse().ok()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(owed(&url).await, 0);
}

async fn following(access_token: Duration) -> (Backend, Api) {
    following_in(&database().await, access_token).await
}

async fn following_in(url: &str, access_token: Duration) -> (Backend, Api) {
    let mut config = config(url, &broker(Kind::Kraft).await.address());
    config.jwt.access_token = access_token;
    let backend = Backend::start(config).await;
    backend.ready().await;
    let api = backend.api().as_new_user("ada").await;
    (backend, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_must_say_who_it_is() {
    let (backend, api) = following(Duration::from_secs(900)).await;
    let mut wrong = Feed::open(&backend.address).await;
    wrong.authenticate("not a token", None).await;
    assert_eq!(wrong.next(5).await, Next::Closed(4401));
    let mut strange = Feed::open(&backend.address).await;
    strange.say(r#"{"type":"subscribe"}"#).await;
    assert_eq!(strange.next(5).await, Next::Closed(1008));
    let mut silent = Feed::open(&backend.address).await;
    assert_eq!(silent.next(15).await, Next::Closed(4401), "it had its time");
    // A token is not taken from the address: it would be in every log on the way.
    let url = format!("http://{}/ws?token={}", backend.address, api.token.unwrap());
    assert_ne!(reqwest::get(url).await.unwrap().status(), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_lasts_as_long_as_its_token_or_the_next_one() {
    let (_backend, api) = following(Duration::from_secs(4)).await;
    let mut renewed = Feed::follow(&api, None).await;
    let mut left = Feed::follow(&api, None).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, pair) = api.log_in("ada@example.com", crate::support::api::PASSWORD).await;
    renewed.authenticate(pair["access_token"].as_str().unwrap(), None).await;
    assert_eq!(left.next(4).await, Next::Closed(4401));
    // Past the first token's end, the renewed one hears of news.
    tokio::time::sleep(Duration::from_millis(500)).await;
    api.with_token(pair["access_token"].as_str().unwrap()).add_video("still here").await;
    assert_eq!(renewed.titles(1).await, ["still here"]);
    assert_eq!(renewed.next(6).await, Next::Closed(4401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_tells_sockets_to_come_back_and_sends_what_is_owed() {
    let url = database().await;
    let (backend, api) = following_in(&url, Duration::from_secs(900)).await;
    let mut feed = Feed::follow(&api, None).await;
    for number in 0..50 {
        api.add_video(&format!("{number}")).await;
    }
    tokio::time::timeout(Duration::from_secs(20), backend.stop()).await.unwrap().unwrap().unwrap();
    assert_eq!(owed(&url).await, 0);
    let code = loop {
        match feed.next(5).await {
            Next::Frame(_) => {}
            Next::Closed(code) => break code,
            Next::Silence => panic!("nobody said that it ends"),
        }
    };
    assert_eq!(code, 1001);
}

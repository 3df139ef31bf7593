//! The whole stack while its parts are killed under load.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::stack::{Project, eventually};
use crate::support::api::{Api, video};
use crate::support::feed::{follow_until, until_followed};

const VIDEOS: usize = 2_000;
const WORKERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(100);

/// What the workers and the follower know of each other.
#[derive(Default)]
struct Known {
    /// Ids of the videos that were answered with 201.
    accepted: Mutex<HashSet<String>>,
    next: AtomicUsize,
    all_added: AtomicBool,
    is_told: AtomicBool,
}

/// Adds videos until there are enough, each tried until it is answered with 201.
async fn add(api: Api, known: Arc<Known>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let number = known.next.fetch_add(1, Ordering::Relaxed);
        if number >= VIDEOS {
            return;
        }
        loop {
            let sent = api.request("POST", "/api/videos").json(&video(&format!("video {number}"))).send().await;
            // What was not answered may or may not be there: only an answer is a promise.
            if let Ok(response) = sent
                && response.status() == 201
                && let Ok(video) = response.json::<serde_json::Value>().await
            {
                known.accepted.lock().unwrap().insert(video["id"].as_str().unwrap().to_owned());
                break;
            }
            assert!(Instant::now() < deadline, "the stack did not come back");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a client was told.
#[derive(Default)]
struct Told {
    /// The ids of each video's events.
    events: HashMap<String, HashSet<String>>,
    frames: usize,
}

impl Told {
    fn take(&mut self, event: &serde_json::Value) {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        self.frames += 1;
        self.events.entry(text(&event["data"]["id"])).or_default().insert(text(&event["id"]));
    }
}

/// Follows until it was told of every accepted video.
async fn follow(api: Api, known: Arc<Known>) -> Told {
    let mut told = Told::default();
    let is_complete = |told: &Told| {
        known.is_told.fetch_or(!told.events.is_empty(), Ordering::Release);
        known.all_added.load(Ordering::Acquire)
            && known.accepted.lock().unwrap().iter().all(|video| told.events.contains_key(video))
    };
    let missing = |told: &Told| {
        let accepted = known.accepted.lock().unwrap();
        let missing: Vec<_> = accepted.iter().filter(|video| !told.events.contains_key(*video)).collect();
        format!("told of {} videos; never of {missing:?}", told.events.len())
    };
    follow_until(&api, PATIENCE, &mut told, Told::take, is_complete, missing).await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_thousand_videos_every_one_is_told_whatever_is_killed_meanwhile() {
    let project = block_in_place(Project::whole);
    let address = block_in_place(|| project.entry("backend"))["address"].as_str().unwrap().to_owned();
    let api = Api::new(address.trim_start_matches("http://")).as_new_user("ada").await;
    let known = Arc::new(Known::default());
    let following = tokio::spawn(follow(api.clone(), Arc::clone(&known)));
    until_followed(&api, &known.is_told).await;
    let adding: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(add(api.clone(), Arc::clone(&known)))).collect();

    for (service, after) in [("kafka", 300), ("backend", 900), ("postgres", 1_500)] {
        while known.accepted.lock().unwrap().len() < after {
            assert!(!adding.iter().any(tokio::task::JoinHandle::is_finished), "a worker gave up");
            sleep(Duration::from_millis(10)).await;
        }
        block_in_place(|| {
            let before = project.kill(service);
            eventually("a new process is healthy", || {
                let entry = project.entry(service);
                entry["state"] == "healthy" && entry["pid"] != before
            });
        });
    }
    for worker in adding {
        worker.await.unwrap();
    }
    known.all_added.store(true, Ordering::Release);

    let told = following.await.unwrap_or_else(|error| {
        let owed = block_in_place(|| project.sql("select count(*) from outbox"));
        let log = block_in_place(|| project.ok(&["logs", "backend"]));
        let log = log.lines().rev().take(60).collect::<Vec<_>>().join("\n");
        panic!("{error}; {owed} events are owed; the backend said, the last first:\n{log}")
    });
    assert_eq!(known.accepted.lock().unwrap().len(), VIDEOS);
    let events: usize = told.events.values().map(HashSet::len).sum();
    assert_eq!(events, told.events.len(), "one video, one event: one that came twice came with the same id");
    assert!(told.frames >= events, "{} videos told in {} frames", told.events.len(), told.frames);
    for service in ["kafka", "backend", "postgres"] {
        assert_eq!(block_in_place(|| project.entry(service))["restarts"], 1, "{service}");
    }
}

//! The whole stack while its parts are killed under load.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::stack::{Project, eventually};
use crate::support::api::{Api, video};
use crate::support::feed::{Feed, Next};

const VIDEOS: usize = 2_000;
const WORKERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(200);

/// What the workers and the follower know of each other.
#[derive(Default)]
struct Known {
    /// Ids of the videos that were answered with 201.
    accepted: Mutex<HashSet<String>>,
    next: AtomicUsize,
    all_added: AtomicBool,
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

/// A client that comes back whenever it is sent away, from the last event that it saw, until it was told of every
/// accepted video. Gives the ids of each video's events, and how many frames came.
async fn follow(api: Api, known: Arc<Known>) -> (HashMap<String, HashSet<String>>, usize) {
    let mut told: HashMap<String, HashSet<String>> = HashMap::new();
    let (mut frames, mut last) = (0, None::<String>);
    let deadline = Instant::now() + PATIENCE;
    let is_complete = |told: &HashMap<String, HashSet<String>>| {
        known.all_added.load(Ordering::Acquire)
            && known.accepted.lock().unwrap().iter().all(|video| told.contains_key(video))
    };
    while !is_complete(&told) {
        assert!(Instant::now() < deadline, "told of {} videos", told.len());
        let Some(mut feed) = Feed::try_open(&api.address).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        feed.authenticate(api.token.as_deref().unwrap(), last.as_deref()).await;
        while !is_complete(&told) {
            match feed.next(1).await {
                Next::Frame(frame) if frame["type"] == "video.created" => {
                    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                    frames += 1;
                    last = Some(text(&frame["id"]));
                    told.entry(text(&frame["data"]["id"])).or_default().insert(text(&frame["id"]));
                }
                Next::Frame(frame) => assert_eq!(frame["type"], "ready", "what was missed is always told"),
                Next::Silence => {}
                Next::Closed(_) => break,
            }
        }
    }
    (told, frames)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_thousand_videos_every_one_is_told_whatever_is_killed_meanwhile() {
    let project = block_in_place(Project::whole);
    let address = block_in_place(|| project.entry("backend"))["address"].as_str().unwrap().to_owned();
    let api = Api::new(address.trim_start_matches("http://")).as_new_user("ada").await;
    let known = Arc::new(Known::default());
    let following = tokio::spawn(follow(api.clone(), Arc::clone(&known)));
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

    let (told, frames) = following.await.unwrap();
    assert_eq!(known.accepted.lock().unwrap().len(), VIDEOS);
    let events: usize = told.values().map(HashSet::len).sum();
    assert_eq!(events, told.len(), "one video, one event: one that came twice came with the same id");
    assert!(frames >= events, "{} videos told in {frames} frames", told.len());
    for service in ["kafka", "backend", "postgres"] {
        assert_eq!(block_in_place(|| project.entry(service))["restarts"], 1, "{service}");
    }
}

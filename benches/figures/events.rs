//! From the answered `POST /api/videos` to the frame, over every frame of every socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::Client;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::database::Database;
use crate::readers::{self, Arrival, Plan};
use crate::report::{Line, Target, Unit};
use crate::server::{Kind, Server};
use crate::stack::Stack;
use crate::{Result, runtime, topic};

const CREATES_PER_SECOND: u32 = 200;
/// The most creates under way: a server that falls behind is not flooded with connections as well.
const CONNECTIONS: usize = 32;
/// Creates of the first seconds, whose frames are read and not counted.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the last frames may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// In the clock of a run: microseconds since its beginning. 0: not answered.
type Answers = Arc<[AtomicU32]>;

pub fn measure(stack: &Stack, quick: bool) -> Result<Vec<Line>> {
    let (sockets, seconds) = if quick { (100, 5) } else { (1_000, 30) };
    allow_open_files(sockets as u64 * 2 + 256)?;
    runtime()?.block_on(async {
        topic::ensure(&stack.kafka, topic::EVENTS).await?;
        let database = Database::create(&stack.database).await?;
        let lines = run(stack, &database, sockets, seconds).await;
        database.drop().await?;
        lines
    })
}

/// A socket is a file: here, and in the server, which inherits the limit.
fn allow_open_files(files: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= files {
        return Ok(());
    }
    if hard < files {
        return Err(format!("at most {hard} files may be open here, and {files} are needed; see `ulimit -Hn`").into());
    }
    Ok(setrlimit(Resource::RLIMIT_NOFILE, files, hard)?)
}

async fn run(stack: &Stack, database: &Database, sockets: usize, seconds: u32) -> Result<Vec<Line>> {
    let server = Server::start(Kind::Ours, &database.url, &stack.kafka).await?;
    let warm_up = WARM_UP.as_secs() * u64::from(CREATES_PER_SECOND);
    let total = CREATES_PER_SECOND as usize * seconds as usize + usize::try_from(warm_up)?;
    let begun = Instant::now();
    eprintln!("  opening {sockets} sockets");
    let plan = Plan {
        address: server.address.trim_start_matches("http://").to_owned(),
        token: server.token.clone(),
        sockets,
        events: total,
        begun,
    };
    let mut readers = readers::start(plan, Duration::from_secs(u64::from(seconds)) + WARM_UP + PATIENCE);
    // Fails at once when a socket could not be opened, with its reason below.
    if readers.ready().await {
        eprintln!("  {CREATES_PER_SECOND} creates a second for {seconds} s");
        let answers = create(&server, total, begun).await.map_err(|error| {
            format!("a create failed: {error}: {:?}; the server said:\n{}", error.source(), server.log())
        })?;
        return lines(&answers, &readers.arrivals()?, usize::try_from(warm_up)?, sockets);
    }
    let said = server.log();
    readers.arrivals().map_err(|error| format!("{error}; the server said:\n{said}"))?;
    Err("the readers ended before their sockets were open".into())
}

/// At a steady rate, whether or not the ones before have been answered.
async fn create(server: &Server, total: usize, begun: Instant) -> Result<Answers> {
    let answers: Answers = (0..total).map(|_| AtomicU32::new(0)).collect();
    // Below the time after which any server ends a connection that is not used.
    let client = Client::builder().pool_idle_timeout(Duration::from_secs(2)).build()?;
    let url = format!("{}/api/videos", server.address);
    let mut tick = interval(Duration::from_secs(1) / CREATES_PER_SECOND);
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    let mut requests = JoinSet::new();
    for number in 0..total {
        tick.tick().await;
        let video = json!({
            "title": readers::title(number),
            "description": "Its description is about as long as the ones that people write.",
            "url": "https://example.com/videos/event.mp4",
        });
        let request = client.post(&url).bearer_auth(&server.token).json(&video).send();
        let answers = Arc::clone(&answers);
        let turns = Arc::clone(&turns);
        requests.spawn(async move {
            let _turn = turns.acquire().await?;
            let response = request.await?.error_for_status()?;
            answers[number].store(readers::micros(begun), Ordering::Relaxed);
            // Read to its end, so that the connection is used again.
            response.bytes().await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    while let Some(request) = requests.join_next().await {
        request??;
    }
    Ok(answers)
}

fn lines(answers: &Answers, arrivals: &[Vec<Arrival>], warm_up: usize, sockets: usize) -> Result<Vec<Line>> {
    let total = answers.len();
    let mut latencies = Vec::with_capacity(sockets * total);
    let mut missing = 0;
    for socket in arrivals {
        let mut seen = vec![false; total];
        for arrival in socket {
            let number = arrival.number as usize;
            let first = seen.get_mut(number).is_some_and(|seen| !std::mem::replace(seen, true));
            if first && number >= warm_up {
                // A frame that overtakes the answer has cost nobody any time.
                latencies.push(arrival.at.saturating_sub(answers[number].load(Ordering::Relaxed)));
            }
        }
        missing += seen.into_iter().filter(|seen| !seen).count();
    }
    if latencies.is_empty() {
        return Err("no frame came".into());
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length is an index")]
        let index = ((latencies.len() - 1) as f64 * share) as usize;
        f64::from(latencies[index]) / 1e6
    };
    Ok(vec![
        Line::new(format!("p50 over {sockets} sockets"), Unit::Time, at(0.50)).target(Target::AtMost(0.010)),
        Line::new("p99", Unit::Time, at(0.99)).target(Target::AtMost(0.050)),
        Line::new("slowest", Unit::Time, at(1.0)),
        Line::new("frames", Unit::Count, latencies.len() as f64),
        Line::new("frames missing", Unit::Count, f64::from(u32::try_from(missing)?)).target(Target::AtMost(0.0)),
    ])
}

//! A container's own health check, run by hand while somebody waits for it.
//!
//! The engine runs the first check a whole interval after the start, and the interval is chosen for a service that runs
//! for days: a chain of services that are each ready at once would take an interval for every link. So while a
//! dependent waits, the same command is run in the container the way the engine would, sooner. What it says counts
//! for the dependent alone; in the end `up` waits for the engine's own verdict.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;

use super::engine::Engine;

/// The first try comes so long after the start; each later one waits half as long again, up to the most.
const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(2);
/// The engine's own default.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Ends when the container's check has passed; never, where it has none or it never passes.
pub(super) async fn passes(engine: &Engine, id: &str) {
    let Some((words, timeout)) = check(engine, id).await else {
        return std::future::pending().await;
    };
    let mut wait = FIRST;
    loop {
        tokio::time::sleep(wait).await;
        if let Ok(Some(true)) = tokio::time::timeout(timeout, once(engine, id, &words)).await {
            return;
        }
        wait = wait.mul_f32(1.5).min(MOST);
    }
}

/// The command, as the engine would run it, and how long it may take.
async fn check(engine: &Engine, id: &str) -> Option<(Vec<String>, Duration)> {
    let config = engine.docker.inspect_container(id, None).await.ok()?.config?;
    let check = config.healthcheck?;
    let test = check.test?;
    let words = match test.first()?.as_str() {
        "CMD" => test.get(1..)?.to_vec(),
        "CMD-SHELL" => {
            let shell = config.shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            shell.into_iter().chain([test.get(1)?.clone()]).collect()
        }
        _ => return None,
    };
    let nanoseconds = check.timeout.and_then(|timeout| u64::try_from(timeout).ok()).filter(|timeout| *timeout > 0);
    Some((words, nanoseconds.map_or(TIMEOUT, Duration::from_nanos)))
}

/// Whether one run of the command passes; None: it could not be run.
async fn once(engine: &Engine, id: &str, words: &[String]) -> Option<bool> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(words.to_vec()),
        ..CreateExecOptions::default()
    };
    let exec = engine.docker.create_exec(id, options).await.ok()?.id;
    let started = engine.docker.start_exec(&exec, None::<StartExecOptions>).await.ok()?;
    if let StartExecResults::Attached { mut output, .. } = started {
        // Its end is the command's end.
        while output.next().await.is_some() {}
    }
    Some(engine.docker.inspect_exec(&exec).await.ok()?.exit_code? == 0)
}

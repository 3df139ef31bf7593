//! What containers print: merged by time, and followed through restarts and replacements.

use std::collections::{BTreeSet, HashSet};

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use super::engine::{Engine, OrSay, status};
use super::labels;
use super::observe::{AT_ONCE, Container, containers};
use super::tracker::container_events;
use crate::failure::Result;

/// A line that a container printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub time: Timestamp,
    pub service: String,
    /// The container's name.
    pub container: String,
    /// Whether it went to standard error.
    pub is_error: bool,
    pub text: String,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Empty: every service.
    pub services: BTreeSet<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// The last lines of each container only.
    pub tail: Option<usize>,
    pub pattern: Option<regex::Regex>,
}

impl Wanted {
    fn is_of(&self, container: &Container) -> bool {
        self.services.is_empty() || self.services.contains(&container.service)
    }

    fn wants(&self, line: &Line) -> bool {
        self.since.is_none_or(|since| line.time >= since)
            && self.until.is_none_or(|until| line.time <= until)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&line.text))
    }

    fn options(&self, follow: bool, since: Option<Timestamp>) -> bollard::query_parameters::LogsOptions {
        let seconds = |moment: Timestamp| i32::try_from(moment.as_second()).unwrap_or(i32::MAX);
        let mut options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(follow);
        if let Some(since) = since.or(self.since) {
            options = options.since(seconds(since));
        }
        if let Some(until) = self.until {
            options = options.until(seconds(until).saturating_add(1));
        }
        let tail = self.tail.filter(|_| self.pattern.is_none() && since.is_none());
        options.tail(&tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string())).build()
    }
}

/// Puts the parts that the engine sends together to lines: a line may come in several, and several in one.
#[derive(Default)]
struct Lines {
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl Lines {
    fn take(&mut self, part: LogOutput, container: &Container) -> Vec<Line> {
        let is_error = matches!(part, LogOutput::StdErr { .. });
        let buffer = if is_error { &mut self.errors } else { &mut self.output };
        buffer.extend_from_slice(&part.into_bytes());
        let mut lines = Vec::new();
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let rest = buffer.split_off(end + 1);
            lines.extend(line(buffer, container, is_error));
            *buffer = rest;
        }
        lines
    }

    /// What stands without a newline at the end.
    fn rest(self, container: &Container) -> Vec<Line> {
        let ends = [(self.output, false), (self.errors, true)];
        ends.into_iter().filter_map(|(bytes, is_error)| line(&bytes, container, is_error)).collect()
    }
}

/// `2026-01-31T12:00:00.123456789Z text`
fn line(bytes: &[u8], container: &Container, is_error: bool) -> Option<Line> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    let (time, text) = text.split_once(' ').unwrap_or((text, ""));
    Some(Line {
        time: time.parse().ok()?,
        service: container.service.clone(),
        container: container.name.clone(),
        is_error,
        text: text.to_owned(),
    })
}

/// What there is, merged by time.
pub async fn existing(engine: &Engine, project: &str, wanted: &Wanted) -> Result<Vec<Line>> {
    let all = containers(engine, project).await?;
    let reads =
        all.iter().filter(|container| wanted.is_of(container) && !container.one_off).map(|container| async move {
            let mut parts = engine.docker.logs(&container.id, Some(wanted.options(false, None)));
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            while let Some(part) = parts.next().await {
                match part {
                    Ok(part) => found.extend(lines.take(part, container)),
                    // Removed meanwhile, or its log driver keeps nothing that can be read.
                    Err(error) if matches!(status(&error), Some(404 | 409 | 501)) => break,
                    Err(error) => return Err(error).or_say(|| format!("can't read the log of {}", container.name)),
                }
            }
            found.extend(lines.rest(container));
            found.retain(|line| wanted.wants(line));
            if let Some(tail) = wanted.tail {
                found.drain(..found.len().saturating_sub(tail));
            }
            Ok(found)
        });
    let mut lines = Vec::new();
    let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
    while let Some(found) = reads.next().await {
        lines.extend(found?);
    }
    lines.sort_by_key(|line| line.time);
    Ok(lines)
}

/// What comes after `from`, from every container of the project: those that run, those that come back, and new ones.
/// The channel ends when the engine goes away.
pub fn follow(engine: &Engine, project: &str, wanted: &Wanted, from: Timestamp) -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(1024);
    let (engine, project, wanted) = (engine.clone(), project.to_owned(), wanted.clone());
    tokio::spawn(async move { follow_all(&engine, &project, &wanted, from, &sender).await });
    receiver
}

async fn follow_all(engine: &Engine, project: &str, wanted: &Wanted, from: Timestamp, sender: &mpsc::Sender<Line>) {
    let mut events = std::pin::pin!(container_events(engine, project, Some(from.as_second())));
    // One reader for each container; when it ends, the container has, and its next start brings another one.
    let (ended_sender, mut ended) = mpsc::unbounded_channel::<(String, Timestamp)>();
    let mut read: HashSet<String> = HashSet::new();
    let mut up_to: std::collections::HashMap<String, Timestamp> = std::collections::HashMap::new();
    let read_one = |container: Container, since: Timestamp| {
        let (engine, wanted, sender, ended) = (engine.clone(), wanted.clone(), sender.clone(), ended_sender.clone());
        tokio::spawn(async move {
            let last = read_to_end(&engine, &container, &wanted, since, &sender).await;
            let _ = ended.send((container.id, last));
        });
    };
    for container in containers(engine, project).await.unwrap_or_default() {
        if wanted.is_of(&container) && read.insert(container.id.clone()) {
            read_one(container, from);
        }
    }
    loop {
        tokio::select! {
            () = sender.closed() => return,
            Some((id, last)) = ended.recv() => {
                read.remove(&id);
                up_to.insert(id, last);
            }
            event = events.next() => {
                let Some(Ok(event)) = event else { return };
                let Some(actor) = event.actor else { continue };
                if event.action.as_deref() != Some("start") {
                    continue;
                }
                let (Some(id), attributes) = (actor.id, actor.attributes.unwrap_or_default()) else { continue };
                let container = Container {
                    id: id.clone(),
                    name: attributes.get("name").cloned().unwrap_or_default(),
                    service: attributes.get(labels::SERVICE).cloned().unwrap_or_default(),
                    one_off: attributes.get(labels::ONE_OFF).is_some_and(|text| text == "True"),
                    ..Container::default()
                };
                if wanted.is_of(&container) && read.insert(id.clone()) {
                    read_one(container, up_to.get(&id).copied().unwrap_or(from));
                }
            }
        }
    }
}

/// Reads one container's log until it ends; gives the time of its last line.
async fn read_to_end(
    engine: &Engine,
    container: &Container,
    wanted: &Wanted,
    since: Timestamp,
    sender: &mpsc::Sender<Line>,
) -> Timestamp {
    let mut parts = engine.docker.logs(&container.id, Some(wanted.options(true, Some(since))));
    let (mut lines, mut last) = (Lines::default(), since);
    while let Some(Ok(part)) = parts.next().await {
        for line in lines.take(part, container) {
            // The engine counts `since` in whole seconds.
            if line.time > last {
                last = line.time;
                if wanted.wants(&line) && sender.send(line).await.is_err() {
                    return last;
                }
            }
        }
    }
    for line in lines.rest(container) {
        if line.time > last && wanted.wants(&line) {
            last = line.time;
            let _ = sender.send(line).await;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_lines() {
        let container = Container { service: "web".into(), ..Container::default() };
        let mut lines = Lines::default();
        let part = |text: &'static str| LogOutput::StdOut { message: text.into() };
        assert!(lines.take(part("2026-01-31T12:00:00.5Z he"), &container).is_empty());
        let found = lines.take(part("llo\n2026-01-31T12:00:01Z \n2026-01-31T12:00:02Z x"), &container);
        let texts: Vec<_> = found.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["hello", ""]);
        assert_eq!(lines.rest(&container)[0].text, "x");
    }
}

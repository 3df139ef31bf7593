//! What services print: read from `CloudWatch` Logs over all their groups, in the order of time, each line once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::restart;
use super::run::Ground;
use super::tasks::task_id;
use crate::aws::is_not_found;
use crate::failure::{Failure, Result};

/// Between two looks while it follows.
const PACE: Duration = Duration::from_millis(1500);
/// Lines may come late by this many milliseconds: so much is read again, and what was told is left out.
const OVERLAP: i64 = 20_000;

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct LogLine {
    pub service: String,
    /// The task's id.
    pub task: String,
    pub at: Timestamp,
    pub text: String,
    #[serde(skip)]
    id: String,
}

/// Which lines.
pub struct LogWish<'a> {
    /// All of them, where none is named.
    pub services: &'a [String],
    pub since: Timestamp,
    pub grep: Option<regex::Regex>,
    pub follow: bool,
}

/// Reads, and with `follow` goes on until it is interrupted. `tell` gets lines as they come.
pub async fn logs(
    ground: &Ground<'_>,
    wish: &LogWish<'_>,
    tell: &mut (dyn FnMut(&LogLine) -> Result<()> + Send),
) -> Result<()> {
    restart::check_names(ground, wish.services)?;
    let groups: BTreeMap<&String, &str> = ground
        .environment
        .services
        .keys()
        .filter(|name| wish.services.is_empty() || wish.services.contains(name))
        .filter_map(|name| Some((name, ground.outputs.services.get(name)?.log_group.as_str())))
        .collect();
    let mut from = wish.since.as_millisecond();
    let mut told: BTreeSet<(i64, String)> = BTreeSet::new();
    loop {
        let all = groups.iter().map(async |(service, group)| read(ground, service, group, from).await);
        let mut lines: Vec<LogLine> = try_join_all(all).await?.into_iter().flatten().collect();
        lines.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        for line in &lines {
            let key = (line.at.as_millisecond(), line.id.clone());
            if told.insert(key) && wish.grep.as_ref().is_none_or(|grep| grep.is_match(&line.text)) {
                tell(line)?;
            }
        }
        if !wish.follow {
            return Ok(());
        }
        if let Some((newest, _)) = told.last() {
            from = from.max(newest - OVERLAP);
            told = told.split_off(&(from, String::new()));
        }
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            () = ground.interrupt.cancelled() => return Ok(()),
        }
    }
}

/// Everything of a group since then, all pages.
async fn read(ground: &Ground<'_>, service: &str, group: &str, from: i64) -> Result<Vec<LogLine>> {
    let cloud = &ground.cloud;
    let mut lines = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let read = cloud.logs.filter_log_events().log_group_name(group).start_time(from).set_next_token(token.take());
        let answer = match read.send().await {
            Ok(answer) => answer,
            // Nothing was ever printed, or the group is made by the first task.
            Err(error) if is_not_found(&error) => {
                return Ok(lines);
            }
            Err(error) => return Err(cloud.failure(&format!("can't read the log {group}"), &error)),
        };
        for event in answer.events.unwrap_or_default() {
            let at = Timestamp::from_millisecond(event.timestamp.unwrap_or(0));
            let at = at.map_err(|error| Failure::failed("can't read the time of a log line").because(&error))?;
            let stream = event.log_stream_name.unwrap_or_default();
            let text = event.message.unwrap_or_default().trim_end().to_owned();
            lines.push(LogLine {
                service: service.to_owned(),
                task: task_id(&stream).to_owned(),
                at,
                id: event.event_id.unwrap_or_else(|| format!("{stream} {text}")),
                text,
            });
        }
        // A page may be empty and still not be the last.
        match answer.next_token {
            Some(next) => token = Some(next),
            None => return Ok(lines),
        }
    }
}

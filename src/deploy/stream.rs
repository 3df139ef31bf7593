//! One log stream of `CloudWatch` Logs, read on from where it was read before.

use std::time::Duration;

use super::cloud::Cloud;
use crate::aws::is_not_found;
use crate::failure::Result;

/// A place in a log stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    group: String,
    name: String,
    token: Option<String>,
}

/// What may be read at once: more than a task says in the time between two looks.
const PAGES: usize = 20;

impl Stream {
    /// The stream's beginning; it need not be there yet.
    pub(super) fn new(group: &str, name: &str) -> Self {
        Self { group: group.to_owned(), name: name.to_owned(), token: None }
    }

    /// What was said since the last time.
    pub(super) async fn more(&mut self, cloud: &Cloud) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for _ in 0..PAGES {
            let answer = cloud
                .logs
                .get_log_events()
                .log_group_name(&self.group)
                .log_stream_name(&self.name)
                .start_from_head(true)
                .set_next_token(self.token.clone())
                .send()
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                // Nothing was said yet.
                Err(error) if is_not_found(&error) => {
                    return Ok(lines);
                }
                Err(error) => return Err(cloud.failure(&format!("can't read the log {}", self.group), &error)),
            };
            let events = answer.events.unwrap_or_default();
            let is_end = events.is_empty() || answer.next_forward_token == self.token;
            lines.extend(events.into_iter().filter_map(|event| event.message).map(|text| text.trim_end().to_owned()));
            if answer.next_forward_token.is_some() {
                self.token = answer.next_forward_token;
            }
            if is_end {
                break;
            }
        }
        Ok(lines)
    }
}

/// The last lines of a stream; none where there is no stream, or it can't be read in time: they are only a help.
pub(super) async fn tail(cloud: &Cloud, group: &str, name: &str, lines: usize) -> Vec<String> {
    let answer = cloud
        .logs
        .get_log_events()
        .log_group_name(group)
        .log_stream_name(name)
        .start_from_head(false)
        .limit(lines.try_into().unwrap_or(i32::MAX))
        .send();
    match tokio::time::timeout(Duration::from_secs(10), answer).await {
        Ok(Ok(answer)) => {
            let events = answer.events.unwrap_or_default();
            events.into_iter().filter_map(|event| event.message).map(|text| text.trim_end().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

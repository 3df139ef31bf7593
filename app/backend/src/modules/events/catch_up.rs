//! What a client missed, for a process that keeps no ring of events: read from the topic.

use std::sync::Arc;

use uuid::Uuid;

use super::Events;
use super::connection::text_of;
use super::consumer::{self, Replay};
use super::hub::SLACK;
use super::socket::{REPLAY_EVENTS, REPLAY_WAIT, milliseconds};

impl Events {
    /// The envelopes of all events after the one that was seen last; None if that can't be told.
    pub(crate) async fn missed(&self, last: Uuid) -> Option<Vec<String>> {
        // The broker's timestamp of an event is never before the event's own time.
        let since = milliseconds(last)? - i64::try_from(SLACK.as_millis()).unwrap_or(0);
        let kafka = Arc::clone(&self.kafka);
        let read = move || consumer::missed(&kafka, last, since, REPLAY_EVENTS, REPLAY_WAIT);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(Replay::Missed(missed))) => {
                missed.iter().map(|entry| text_of(&entry.frame).map(str::to_owned)).collect()
            }
            Ok(Ok(Replay::Gone)) => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "can't read what a client missed");
                None
            }
            Err(error) => {
                tracing::error!(%error, "reading what a client missed ended early");
                None
            }
        }
    }
}

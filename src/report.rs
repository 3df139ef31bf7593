//! What a room tells while it works: the vocabulary of progress, without a word of how it looks.
//!
//! Rooms speak [`Event`]s to a [`Report`]; `terminal` is the one that draws them, as bars, lines or JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a room says while it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A task began; `name` identifies it in all later events ("postgres", "kafka").
    Started { name: String, doing: String },
    /// What the task is doing now changed.
    Doing { name: String, doing: String },
    /// How far the task is, in `unit`s; without a total the end is unknown.
    Advanced { name: String, done: u64, total: Option<u64>, unit: Unit },
    /// The task ended well.
    Finished { name: String, how: String, took: Duration },
    /// The task ended badly; the failure itself travels as an error.
    Failed { name: String, why: String },
    /// A line worth knowing.
    Note(String),
    /// Something that will hurt later.
    Warning(String),
    /// Something to try next.
    Hint(String),
    /// A line that a service printed.
    Line { source: String, text: String },
}

/// What is counted by [`Event::Advanced`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    Bytes,
    Items,
}

/// Whoever listens to a room's progress.
pub trait Report: Send + Sync {
    /// Takes one event; never blocks for long and never fails.
    fn event(&self, event: Event);

    /// A task began.
    fn started(&self, name: &str, doing: &str) {
        self.event(Event::Started { name: name.into(), doing: doing.into() });
    }

    /// What the task is doing now.
    fn doing(&self, name: &str, doing: &str) {
        self.event(Event::Doing { name: name.into(), doing: doing.into() });
    }

    /// The task ended well after `took`.
    fn finished(&self, name: &str, how: &str, took: Duration) {
        self.event(Event::Finished { name: name.into(), how: how.into(), took });
    }

    /// The task ended badly.
    fn failed(&self, name: &str, why: &str) {
        self.event(Event::Failed { name: name.into(), why: why.into() });
    }

    /// A line worth knowing.
    fn note(&self, text: &str) {
        self.event(Event::Note(text.into()));
    }

    /// Something that will hurt later.
    fn warning(&self, text: &str) {
        self.event(Event::Warning(text.into()));
    }

    /// Something to try next.
    fn hint(&self, text: &str) {
        self.event(Event::Hint(text.into()));
    }
}

/// Keeps what was said, for tests and for callers that print it later.
#[derive(Debug, Default)]
pub struct Recorder(std::sync::Mutex<Vec<Event>>);

impl Recorder {
    /// Everything said so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Report for Recorder {
    fn event(&self, event: Event) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
    }
}

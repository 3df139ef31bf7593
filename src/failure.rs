//! What can go wrong, in the words of the person who has to mend it.
//!
//! A [`Failure`] says what happened, why, and what to try; its [`Kind`] decides the exit code. Rooms build
//! failures, `main` prints the one that reaches it and leaves with its code: nothing else exits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of everything that can fail in the command-line tool.
pub type Result<T> = std::result::Result<T, Failure>;

/// What sort of failure it was; scripts tell them apart by exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It was tried and did not work, or it was refused.
    Failed,
    /// The arguments or the configuration are wrong; nothing was tried.
    Usage,
    /// Something that it depends on can't be reached: Docker, AWS, `PostgreSQL`, Kafka.
    Unreachable,
    /// The change was made and taken back.
    RolledBack,
    /// The time given ran out while it was still going on.
    TimedOut,
    /// Another change of the same thing took its place.
    Superseded,
    /// Somebody else stopped it.
    Stopped,
    /// A signal ended it; the number is the signal's.
    Interrupted(u8),
    /// Whoever read standard output went away: nothing to say, and no failure.
    BrokenPipe,
}

impl Kind {
    /// The process's exit code, as `streamify help exit-codes` lists them.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 4,
            Self::RolledBack => 5,
            Self::TimedOut => 6,
            Self::Superseded => 7,
            Self::Stopped => 8,
            Self::Interrupted(signal) => 128 + signal,
        }
    }

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::RolledBack => "rolled_back",
            Self::TimedOut => "timed_out",
            Self::Superseded => "superseded",
            Self::Stopped => "stopped",
            Self::Interrupted(_) => "interrupted",
            Self::BrokenPipe => "broken_pipe",
        }
    }
}

/// One failure: what happened, the chain of reasons, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened, one sentence without a full stop.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to try, each a whole sentence or a command.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure of the given kind with nothing but its message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// It was tried and did not work, or it was refused (exit code 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The arguments or the configuration are wrong (exit code 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Something that it depends on can't be reached (exit code 4).
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, message)
    }

    /// The time given ran out (exit code 6).
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(Kind::TimedOut, message)
    }

    /// A signal ended it (exit code 128 + signal).
    pub fn interrupted(signal: u8) -> Self {
        Self::new(Kind::Interrupted(signal), "interrupted")
    }

    /// Adds a reason, with the whole chain of an error's sources.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Many libraries repeat their source in their own text; said once is enough.
            if !self.causes.iter().any(|cause| cause.contains(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds a reason in words.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds something to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        for cause in &self.causes {
            write!(formatter, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Turns an error into a [`Failure`] that says what was being done.
pub trait OrFail<T> {
    /// "It was tried and did not work", with the error as the reason.
    fn or_fail(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: std::error::Error + 'static> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::failed(message()).because(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_reasons_is_said_once() {
        let inner = std::io::Error::other("disk is full");
        let outer = std::io::Error::other(Failure::failed("can't write a.txt").because(&inner));
        let failure = Failure::failed("can't save").because(&outer);
        assert_eq!(failure.to_string(), "can't save: can't write a.txt: disk is full");
    }

    #[test]
    fn exit_codes_are_those_that_scripts_rely_on() {
        let kinds = [Kind::Failed, Kind::Usage, Kind::Unreachable, Kind::RolledBack, Kind::TimedOut];
        assert_eq!(kinds.map(Kind::exit_code), [1, 2, 4, 5, 6]);
        assert_eq!([Kind::Superseded, Kind::Stopped].map(Kind::exit_code), [7, 8]);
        assert_eq!(Kind::Interrupted(2).exit_code(), 130);
        assert_eq!(Kind::Interrupted(15).exit_code(), 143);
    }
}

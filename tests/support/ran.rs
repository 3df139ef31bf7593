//! What a run of the tool has said.

use std::process::Output;

use serde_json::Value;

/// A value that must never be seen.
pub const SECRET: &str = "hunter2-never-to-be-seen";

/// What a run said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Whatever ran, no secret is in what it said.
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let ran = Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "a secret was printed: {ran:?}");
        ran
    }

    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, what: &str) -> Self {
        assert!(self.out.contains(what) || self.err.contains(what), "it lacks {what:?}:\n{}\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

use serde::Serialize;

use crate::failure::{Failure, Result};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
    Failed,
}

/// One thing that was looked at, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub verdict: Verdict,
    /// What was seen, or why it failed or was skipped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Self>,
}

impl Check {
    fn new(name: impl Into<String>, verdict: Verdict, reason: impl Into<String>) -> Self {
        let reasons = Some(reason.into()).filter(|reason| !reason.is_empty()).into_iter().collect();
        Self { name: name.into(), verdict, reasons, hints: Vec::new(), checks: Vec::new() }
    }

    /// It is as it should be; what was seen, or nothing to say.
    pub fn ok(name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, seen)
    }

    /// It is not as it should be.
    pub fn failed(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Failed, why)
    }

    /// It was not looked at.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skipped, why)
    }

    /// As it went: a failure's words become the check's.
    pub fn of(name: impl Into<String>, result: Result<String>) -> Self {
        match result {
            Ok(seen) => Self::ok(name, seen),
            Err(failure) => Self::failure(name, failure),
        }
    }

    /// A failure's words.
    pub fn failure(name: impl Into<String>, failure: Failure) -> Self {
        let mut check = Self::failed(name, failure.message);
        check.reasons.extend(failure.causes);
        check.hints = failure.hints;
        check
    }

    /// Several that belong together, with the verdict of the worst.
    pub fn group(name: impl Into<String>, checks: Vec<Self>) -> Self {
        let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Skipped);
        // One thing that was skipped does not make the rest unseen.
        let is_some_seen = checks.iter().any(|check| check.verdict == Verdict::Ok);
        let verdict = if verdict == Verdict::Skipped && is_some_seen { Verdict::Ok } else { verdict };
        Self { name: name.into(), verdict, reasons: Vec::new(), hints: Vec::new(), checks }
    }

    /// Adds what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// How many single checks have a verdict; groups are not counted.
    pub fn count(&self, verdict: Verdict) -> usize {
        if self.checks.is_empty() {
            return usize::from(self.verdict == verdict);
        }
        self.checks.iter().map(|check| check.count(verdict)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_as_good_as_its_worst_part() {
        let (ok, skipped) = (Check::ok("a", ""), Check::skipped("b", "nothing there"));
        let group = Check::group("g", vec![ok.clone(), skipped.clone()]);
        assert_eq!(group.verdict, Verdict::Ok);
        assert_eq!(Check::group("g", vec![skipped]).verdict, Verdict::Skipped);
        let outer = Check::group("o", vec![group, Check::failed("c", "broken")]);
        assert_eq!((outer.verdict, outer.count(Verdict::Ok), outer.count(Verdict::Failed)), (Verdict::Failed, 1, 1));
    }
}

//! What is wrong with a file, with its place; several are told together.

use std::fmt::Write as _;

use super::tree::Place;
use crate::failure::Failure;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) place: Place,
    /// One sentence without a full stop.
    pub(super) message: String,
    /// What to try, a whole sentence.
    pub(super) hint: Option<String>,
}

pub(super) type Outcome<T> = Result<T, Problem>;

impl Problem {
    pub(super) fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Suggests the nearest of the names that there are.
    pub(super) fn did_you_mean<'a>(self, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(wrong, names) {
            Some(name) => self.hint(format!("Did you mean `{name}`?")),
            None => self,
        }
    }
}

/// The hint where there is no better one.
const REFERENCE: &str = "The format is described at https://docs.docker.com/reference/compose-file/.";

/// Turns what was found into a failure: in reading order, each with its place, the first ones with their lines.
pub(super) fn failure(mut problems: Vec<Problem>) -> Failure {
    /// Beyond so many a person mends the first ones and asks again.
    const SHOWN: usize = 20;
    problems.sort_by(|a, b| a.place.order().cmp(&b.place.order()).then_with(|| a.message.cmp(&b.message)));
    problems.dedup_by(|a, b| a.place.order() == b.place.order() && a.message == b.message);
    let mut failure = match problems.as_slice() {
        [only] => {
            let failure = Failure::usage(format!("{}: {}", only.place, only.message));
            match excerpt(&only.place) {
                Some(excerpt) => failure.cause(excerpt),
                None => failure,
            }
        }
        several => {
            let mut failure = Failure::usage(format!("the Compose files have {} problems", several.len()));
            for problem in several.iter().take(SHOWN) {
                let mut text = format!("{}: {}", problem.place, problem.message);
                if let Some(excerpt) = excerpt(&problem.place) {
                    let _ = write!(text, "\n{excerpt}");
                }
                failure = failure.cause(text);
            }
            if several.len() > SHOWN {
                failure = failure.cause(format!("… and {} more", several.len() - SHOWN));
            }
            failure
        }
    };
    for hint in problems.into_iter().map(|problem| problem.hint.unwrap_or_else(|| REFERENCE.to_owned())) {
        if failure.hints.len() < 5 && !failure.hints.contains(&hint) {
            failure = failure.hint(hint);
        }
    }
    failure
}

/// The line with a mark below the column.
fn excerpt(place: &Place) -> Option<String> {
    if place.source.private {
        return None;
    }
    let line = place.source.text.lines().nth(place.line.checked_sub(1)?)?;
    // A tab stays a tab, so that the mark stands below what it marks.
    let pad: String =
        line.chars().take(place.column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("{line}\n{pad}^"))
}

/// The name that differs least, where it differs by little: one letter, or a third of them.
pub(super) fn closest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .filter(|name| *name != wrong)
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1) && *distance < wrong.chars().count())
        .min()
        .map(|(_, name)| name)
}

/// The number of letters to insert, delete, change, or exchange with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut cost = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_meant() {
        assert_eq!(closest("imge", ["build", "image"]), Some("image"));
        assert_eq!(closest("prots", ["ports", "profiles"]), Some("ports"));
        assert_eq!(closest("frobnicate", ["ports", "image"]), None);
        assert_eq!(closest("a", ["b"]), None);
        assert_eq!(closest("db", ["dbs", "web"]), Some("dbs"));
    }
}

//! The table and the JSON document.

use std::fmt;

use serde_json::{Value, json};
use streamify::terminal::Table;

use crate::Result;

/// How a value is written.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Kept in seconds.
    Time,
    /// Kept in bytes.
    Memory,
    PerSecond,
    Count,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Time if value < 0.001 => format!("{:.0} µs", value * 1e6),
            Self::Time if value < 1.0 => format!("{:.1} ms", value * 1e3),
            Self::Time => format!("{value:.2} s"),
            Self::Memory => format!("{:.1} MB", value / 1e6),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Count => format!("{value:.0}"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Time => "seconds",
            Self::Memory => "bytes",
            Self::PerSecond => "per_second",
            Self::Count => "count",
        }
    }
}

/// What a figure has to reach.
#[derive(Clone, Copy)]
pub enum Target {
    /// Ours is at most this, in the line's unit.
    AtMost(f64),
    /// Ours divided by the peer's is at most this.
    RatioAtMost(f64),
    /// Ours divided by the peer's is at least this.
    RatioAtLeast(f64),
}

/// One figure.
pub struct Line {
    what: String,
    unit: Unit,
    ours: f64,
    peer: Option<(String, f64)>,
    target: Option<Target>,
}

impl Line {
    pub fn new(what: impl Into<String>, unit: Unit, ours: f64) -> Self {
        Self { what: what.into(), unit, ours, peer: None, target: None }
    }

    pub fn beside(mut self, peer: impl Into<String>, value: f64) -> Self {
        self.peer = Some((peer.into(), value));
        self
    }

    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().map(|(_, value)| self.ours / value)
    }

    fn met(&self) -> Option<bool> {
        Some(match (self.target?, self.ratio()) {
            (Target::AtMost(most), _) => self.ours <= most,
            (Target::RatioAtMost(most), Some(ratio)) => ratio <= most,
            (Target::RatioAtLeast(least), Some(ratio)) => ratio >= least,
            (_, None) => false,
        })
    }

    fn cells(&self) -> [String; 7] {
        let peer = self.peer.as_ref();
        [
            self.what.clone(),
            self.unit.show(self.ours),
            peer.map_or(String::new(), |(name, _)| name.clone()),
            peer.map_or(String::new(), |(_, value)| self.unit.show(*value)),
            self.ratio().map_or(String::new(), |ratio| format!("{}×", significant(ratio))),
            match self.target {
                None => String::new(),
                Some(Target::AtMost(most)) => format!("≤ {}", self.unit.show(most)),
                Some(Target::RatioAtMost(most)) => format!("≤ {}×", significant(most)),
                Some(Target::RatioAtLeast(least)) => format!("≥ {}×", significant(least)),
            },
            match self.met() {
                None => "",
                Some(true) => "met",
                Some(false) => "MISSED",
            }
            .to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let (relation, limit) = match self.target {
            None => (Value::Null, Value::Null),
            Some(Target::AtMost(most)) => ("ours_at_most".into(), most.into()),
            Some(Target::RatioAtMost(most)) => ("ratio_at_most".into(), most.into()),
            Some(Target::RatioAtLeast(least)) => ("ratio_at_least".into(), least.into()),
        };
        json!({
            "what": self.what,
            "unit": self.unit.name(),
            "ours": self.ours,
            "peer": self.peer.as_ref().map(|(name, _)| name),
            "peer_value": self.peer.as_ref().map(|(_, value)| value),
            "ratio": self.ratio(),
            "target": { "relation": relation, "limit": limit },
            "met": self.met(),
        })
    }
}

/// About three digits that mean something, whatever the size.
fn significant(value: f64) -> String {
    let decimals = if value >= 10.0 {
        1
    } else if value >= 0.1 {
        2
    } else {
        4
    };
    format!("{value:.decimals$}")
}

/// Everything that was measured, and on what.
pub struct Report {
    facts: Vec<(String, String)>,
    lines: Vec<(String, Line)>,
    failures: Vec<(String, String)>,
}

impl Report {
    pub fn new(facts: Vec<(String, String)>) -> Self {
        Self { facts, lines: Vec::new(), failures: Vec::new() }
    }

    pub fn add(&mut self, figure: &str, lines: Vec<Line>) {
        self.lines.extend(lines.into_iter().map(|line| (figure.to_owned(), line)));
    }

    pub fn failed(&mut self, figure: &str, reason: String) {
        self.failures.push((figure.to_owned(), reason));
    }

    /// Whether every figure was measured.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// Whether no target was missed.
    pub fn all_met(&self) -> bool {
        self.lines.iter().all(|(_, line)| line.met() != Some(false))
    }

    pub fn json(&self) -> Result<String> {
        let lines = self.lines.iter().map(|(figure, line)| {
            let mut value = line.json();
            value["figure"] = figure.as_str().into();
            value
        });
        let failures = self.failures.iter().map(|(figure, reason)| json!({ "figure": figure, "reason": reason }));
        let facts: serde_json::Map<String, Value> =
            self.facts.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let document = json!({
            "machine": facts,
            "figures": lines.collect::<Vec<_>>(),
            "not_measured": failures.collect::<Vec<_>>(),
        });
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.facts {
            writeln!(formatter, "{name}: {value}")?;
        }
        if !self.lines.is_empty() {
            let mut table = Table::new(["figure", "what", "ours", "peer", "peer's", "ratio", "target", ""]);
            for (figure, line) in &self.lines {
                table.row(std::iter::once(figure.clone()).chain(line.cells()));
            }
            writeln!(formatter, "\n{}", table.text())?;
        }
        for (figure, reason) in &self.failures {
            writeln!(formatter, "\n{figure} was not measured: {reason}")?;
        }
        Ok(())
    }
}

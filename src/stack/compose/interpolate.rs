//! Fills variables in through a whole document, and turns the texts that come out into the numbers and switches that
//! the format wants there.

use std::path::PathBuf;

use super::model::{Note, NoteKind};
use super::problem::Problem;
use super::template::Template;
use super::tree::{Node, Place, Value};

/// Fills in a document; every text that can't be filled in is among the problems.
pub(super) fn document(
    node: &mut Node,
    variables: &dyn Fn(&str) -> Option<String>,
    notes: &mut Vec<Note>,
) -> Vec<Problem> {
    let mut walk = Walk { template: Template::new(variables), notes, problems: Vec::new() };
    walk.node(node, &mut Vec::new());
    walk.problems
}

struct Walk<'a> {
    template: Template<'a>,
    notes: &'a mut Vec<Note>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn node<'t>(&mut self, node: &'t mut Node, path: &mut Vec<&'t str>) {
        let Node { value, place, .. } = node;
        match value {
            Value::Map(map) => {
                for (key, node) in map.iter_mut() {
                    path.push(key);
                    self.node(node, path);
                    path.pop();
                }
            }
            Value::List(list) => {
                for node in list {
                    path.push("[]");
                    self.node(node, path);
                    path.pop();
                }
            }
            Value::Text(text) => match self.text(text, place, path) {
                Ok(Some(filled)) => *value = filled,
                Ok(None) => {}
                Err(problem) => self.problems.push(problem),
            },
            _ => {}
        }
    }

    fn text(&mut self, text: &str, place: &Place, path: &[&str]) -> Result<Option<Value>, Problem> {
        let filled = if text.contains('$') {
            Some(self.template.fill(text).map_err(|fault| Problem::new(place, fault.message()).hint(fault.hint()))?)
        } else {
            None
        };
        for name in self.template.take_unset() {
            self.notes.push(Note {
                file: PathBuf::clone(&place.source.path),
                line: place.line,
                column: place.column,
                kind: NoteKind::UnsetVariable,
                message: format!("the variable {name} is not set, so it stands for nothing"),
            });
        }
        let Some(wanted) = wanted(path) else {
            return Ok(filled.map(Value::Text));
        };
        let text = filled.as_deref().unwrap_or(text);
        let value = match wanted {
            Wanted::Integer => text.parse().ok().map(Value::Integer),
            Wanted::Number => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
            Wanted::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "y" | "yes" | "on" => Some(Value::Bool(true)),
                "false" | "n" | "no" | "off" => Some(Value::Bool(false)),
                _ => None,
            },
        };
        value.map(Some).ok_or_else(|| {
            let name = path.iter().rev().find(|key| **key != "[]").copied().unwrap_or_default();
            let (what, example) = match wanted {
                Wanted::Integer => ("a whole number", "3"),
                Wanted::Number => ("a number", "0.5"),
                Wanted::Switch => ("true or false", "true"),
            };
            Problem::new(place, format!("`{name}` must be {what}, and this is `{text}`"))
                .hint(format!("Write it as in `{name}: {example}`."))
        })
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    Integer,
    Number,
    Switch,
}

/// What a text at that path is turned into; the same places as in Compose.
fn wanted(path: &[&str]) -> Option<Wanted> {
    match path {
        ["networks" | "volumes" | "secrets" | "configs", _, "external"]
        | ["networks", _, "internal" | "attachable" | "enable_ipv4" | "enable_ipv6"] => Some(Wanted::Switch),
        ["services", _, "pre_start", _, rest @ ..] => container(rest),
        ["services", _, rest @ ..] => container(rest).or_else(|| workload(rest)).or_else(|| service(rest)),
        ["jobs", _, rest @ ..] => container(rest).or_else(|| workload(rest)),
        _ => None,
    }
}

fn container(path: &[&str]) -> Option<Wanted> {
    match path {
        [
            "cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime" | "cpu_shares"
            | "oom_score_adj" | "pids_limit",
        ]
        | ["ulimits", _]
        | ["ulimits", _, "hard" | "soft"] => Some(Wanted::Integer),
        ["cpu_percent" | "cpus"] => Some(Wanted::Number),
        ["init" | "oom_kill_disable" | "privileged" | "read_only"]
        | ["volumes", "[]", "read_only"]
        | ["volumes", "[]", "volume", "nocopy"] => Some(Wanted::Switch),
        _ => None,
    }
}

fn workload(path: &[&str]) -> Option<Wanted> {
    match path {
        ["depends_on", _, "required" | "restart"] | ["healthcheck", "disable"] | ["stdin_open" | "tty"] => {
            Some(Wanted::Switch)
        }
        ["healthcheck", "retries"] | ["ports", "[]", "target"] => Some(Wanted::Integer),
        _ => None,
    }
}

fn service(path: &[&str]) -> Option<Wanted> {
    match path {
        ["scale"]
        | ["deploy", "replicas"]
        | ["deploy", "update_config" | "rollback_config", "parallelism"]
        | ["deploy", "restart_policy", "max_attempts"]
        | ["deploy", "placement", "max_replicas_per_node"] => Some(Wanted::Integer),
        ["deploy", "update_config" | "rollback_config", "max_failure_ratio"] => Some(Wanted::Number),
        _ => None,
    }
}

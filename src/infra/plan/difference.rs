//! What differs between a resource's attributes before and after, without what must not be seen.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

/// What stands for a value that must not be seen.
pub const MASK: &str = "(sensitive)";
const UNKNOWN: &str = "(known after apply)";

/// Longer values are cut: a plan is to be read.
const LONGEST: usize = 160;

/// Values shorter than this are too common to be searched for.
const SHORTEST: usize = 4;

/// One attribute that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribute {
    /// As Terraform writes it: `input.n`, `rule[0].port`.
    pub path: String,
    /// As JSON, cut, or masked. None: it was not there.
    pub before: Option<String>,
    pub after: Option<String>,
    /// Because of it the resource is made anew.
    pub replaces: bool,
}

/// Texts that must not be seen anywhere: a provider may copy a sensitive value to where it is not marked.
#[derive(Default)]
pub(super) struct Hidden(BTreeSet<String>);

impl Hidden {
    /// Takes every text in a value that `marks` says is sensitive.
    pub(super) fn learn(&mut self, value: Option<&Value>, marks: Option<&Value>) {
        match (value, marks) {
            (Some(value), Some(Value::Bool(true))) => self.take(value),
            (Some(Value::Object(entries)), Some(Value::Object(marks))) => {
                marks.iter().for_each(|(key, mark)| self.learn(entries.get(key), Some(mark)));
            }
            (Some(Value::Array(elements)), Some(Value::Array(marks))) => {
                marks.iter().enumerate().for_each(|(index, mark)| self.learn(elements.get(index), Some(mark)));
            }
            _ => {}
        }
    }

    fn take(&mut self, value: &Value) {
        match value {
            Value::String(text) if text.len() >= SHORTEST => {
                self.0.insert(text.clone());
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.take(element)),
            Value::Object(entries) => entries.values().for_each(|element| self.take(element)),
            _ => {}
        }
    }

    fn holds(&self, text: &str) -> bool {
        self.0.iter().any(|hidden| text.contains(hidden.as_str()))
    }

    /// A value as it may be shown.
    fn shown(&self, value: &Value) -> String {
        let is_hidden = match value {
            Value::String(text) => self.holds(text),
            Value::Array(_) | Value::Object(_) => self.inside(value),
            _ => false,
        };
        if is_hidden {
            return MASK.to_owned();
        }
        let text = value.to_string();
        if text.chars().count() <= LONGEST {
            return text;
        }
        format!("{}… ({} characters)", text.chars().take(LONGEST).collect::<String>(), text.chars().count())
    }

    fn inside(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.holds(text),
            Value::Array(elements) => elements.iter().any(|element| self.inside(element)),
            Value::Object(entries) => entries.values().any(|element| self.inside(element)),
            _ => false,
        }
    }
}

/// The two sides of a change, and what is said of each part of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Sides<'a> {
    pub(super) before: Option<&'a Value>,
    pub(super) after: Option<&'a Value>,
    pub(super) unknown: Option<&'a Value>,
    pub(super) before_sensitive: Option<&'a Value>,
    pub(super) after_sensitive: Option<&'a Value>,
}

impl<'a> Sides<'a> {
    fn inner(&self, step: &Step) -> Self {
        let of = |value: Option<&'a Value>| match (value, step) {
            (Some(Value::Object(entries)), Step::Key(key)) => entries.get(key),
            (Some(Value::Array(elements)), Step::Index(index)) => elements.get(*index),
            // What holds of the whole holds of its parts.
            (Some(whole @ Value::Bool(true)), _) => Some(whole),
            _ => None,
        };
        Self {
            before: of(self.before.filter(|value| !value.is_boolean())),
            after: of(self.after.filter(|value| !value.is_boolean())),
            unknown: of(self.unknown),
            before_sensitive: of(self.before_sensitive),
            after_sensitive: of(self.after_sensitive),
        }
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
    Key(String),
    Index(usize),
}

/// Every attribute that differs. `replacing` are paths that make the resource anew.
pub(super) fn difference(sides: Sides, replacing: &[Value], hidden: &Hidden) -> Vec<Attribute> {
    let mut found = Vec::new();
    walk(sides, &mut Vec::new(), replacing, hidden, &mut found);
    found
}

fn walk(sides: Sides, path: &mut Vec<Step>, replacing: &[Value], hidden: &Hidden, found: &mut Vec<Attribute>) {
    let is_true = |mark: Option<&Value>| mark == Some(&Value::Bool(true));
    let is_unknown = is_true(sides.unknown);
    let is_sensitive = is_true(sides.before_sensitive) || is_true(sides.after_sensitive);
    // Providers write nothing and an empty list for the same.
    let is_null = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(entries)) => entries.is_empty(),
        Some(Value::Array(elements)) => elements.is_empty(),
        _ => false,
    };
    if !is_unknown
        && (sides.before == sides.after || is_null(sides.before) && is_null(sides.after))
        && !holds_unknown(sides.unknown)
    {
        return;
    }
    if !is_unknown && !is_sensitive {
        let steps: Option<Vec<Step>> = match (sides.before, sides.after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                let unknown = sides.unknown.and_then(Value::as_object).into_iter().flat_map(|marks| marks.keys());
                let keys: BTreeSet<&String> = before.keys().chain(after.keys()).chain(unknown).collect();
                Some(keys.into_iter().map(|key| Step::Key(key.clone())).collect())
            }
            (Some(Value::Array(before)), Some(Value::Array(after)))
                if before.iter().chain(after).any(Value::is_object) || before.len() == after.len() =>
            {
                Some((0..before.len().max(after.len())).map(Step::Index).collect())
            }
            _ => None,
        };
        if let Some(steps) = steps {
            for step in steps {
                let inner = sides.inner(&step);
                path.push(step);
                walk(inner, path, replacing, hidden, found);
                path.pop();
            }
            return;
        }
        // Policies and the like are JSON in a text; a whole one says nothing.
        if let (Some(before), Some(after)) = (embedded(sides.before), embedded(sides.after)) {
            let inner = Sides { before: Some(&before), after: Some(&after), ..Sides::default() };
            return walk(inner, path, replacing, hidden, found);
        }
    }
    let shown = |value: Option<&Value>, is_sensitive: bool| {
        value
            .filter(|value| !value.is_null())
            .map(|value| if is_sensitive { MASK.to_owned() } else { hidden.shown(value) })
    };
    let after = if is_unknown { Some(UNKNOWN.to_owned()) } else { shown(sides.after, is_sensitive) };
    found.push(Attribute {
        path: written(path),
        before: shown(sides.before, is_sensitive),
        after,
        replaces: replacing.iter().any(|replacing| is_on(replacing, path)),
    });
}

/// Whether anything below is not known yet.
fn holds_unknown(marks: Option<&Value>) -> bool {
    match marks {
        Some(Value::Bool(is_unknown)) => *is_unknown,
        Some(Value::Object(entries)) => entries.values().any(|inner| holds_unknown(Some(inner))),
        Some(Value::Array(elements)) => elements.iter().any(|inner| holds_unknown(Some(inner))),
        _ => false,
    }
}

fn embedded(value: Option<&Value>) -> Option<Value> {
    let text = value?.as_str()?;
    let inner: Value = serde_json::from_str(text).ok()?;
    (inner.is_object() || inner.is_array()).then_some(inner)
}

/// Whether the one path is the other's beginning, either way.
fn is_on(replacing: &Value, path: &[Step]) -> bool {
    let Some(steps) = replacing.as_array() else { return false };
    steps.iter().zip(path).all(|(theirs, ours)| match ours {
        Step::Key(key) => theirs.as_str() == Some(key),
        Step::Index(index) => theirs.as_u64().is_none_or(|theirs| theirs == *index as u64),
    })
}

fn written(path: &[Step]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        Step::Key(key) if text.is_empty() => key.clone(),
        Step::Key(key) => format!("{text}.{key}"),
        Step::Index(index) => format!("{text}[{index}]"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_named_and_secrets_are_masked() {
        let before = json!({"a": 1, "same": [1], "password": "hunter22", "copy": "x hunter22", "rule": [{"port": 1}], "gone": "x",
            "policy": "{\"Statement\":[{\"Action\":\"a\"}]}"});
        let after = json!({"a": 2, "same": [1], "password": "correct", "copy": "y correct", "rule": [{"port": 2}, {"port": 3}],
            "policy": "{\"Statement\": [{\"Action\": \"b\"}]}"});
        let marks = json!({"password": true});
        let mut hidden = Hidden::default();
        hidden.learn(Some(&before), Some(&marks));
        hidden.learn(Some(&after), Some(&marks));
        let sides = Sides {
            before: Some(&before),
            after: Some(&after),
            unknown: Some(&json!({"id": true})),
            before_sensitive: Some(&marks),
            after_sensitive: Some(&marks),
        };
        let found = difference(sides, &[json!(["a"])], &hidden);
        let texts: Vec<String> = found
            .iter()
            .map(|one| {
                format!(
                    "{}: {:?} {:?} {}",
                    one.path,
                    one.before.as_deref().unwrap_or(""),
                    one.after.as_deref().unwrap_or(""),
                    one.replaces
                )
            })
            .collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        a: "1" "2" true
        copy: "(sensitive)" "(sensitive)" false
        gone: "\"x\"" "" false
        id: "" "(known after apply)" false
        password: "(sensitive)" "(sensitive)" false
        policy.Statement[0].Action: "\"a\"" "\"b\"" false
        rule[0].port: "1" "2" false
        rule[1]: "" "{\"port\":3}" false
        "#);
    }
}

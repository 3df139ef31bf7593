//! What is different between what is live and what is wanted, by field, in words that a person reads.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// One field that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Such as `environment.LOG_LEVEL`; within the service's own container its path begins there.
    pub field: String,
    /// None: it was not there.
    pub before: Option<String>,
    /// None: it is taken away.
    pub after: Option<String>,
}

/// Compares leaves. `container` is the one whose path is left away.
pub(super) fn differences(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    container: &str,
) -> Vec<Difference> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let own = format!("containerDefinitions.{container}.");
    let mut all: Vec<Difference> = paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| {
            let field = path.strip_prefix(&own).unwrap_or(path).to_owned();
            let is_hidden = is_secret(&field);
            let (was, is) = (before.get(path), after.get(path));
            let shown = |value: &Value| if is_hidden { "(hidden)".to_owned() } else { spoken(value) };
            let again = |value: &Value| match (is_hidden, was) {
                (true, Some(_)) => "(hidden, another)".to_owned(),
                _ => shown(value),
            };
            Difference { before: was.map(shown), after: is.map(again), field }
        })
        .collect();
    // The image is what a person looks for first.
    all.sort_by_key(|difference| (difference.field != "image", difference.field.clone()));
    all
}

/// Values that a plain variable should not hold, but may.
pub(super) fn is_secret(field: &str) -> bool {
    let Some(variable) = field.rsplit_once("environment.").map(|(_, name)| name.to_uppercase()) else { return false };
    let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE", "API_KEY", "APIKEY", "JWT_KEYS"];
    words.iter().any(|word| variable.contains(word)) || variable.ends_with("_KEY")
}

fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => without_password(text),
        Value::Array(entries) if entries.iter().all(Value::is_string) => {
            let words: Vec<String> = entries.iter().filter_map(Value::as_str).map(without_password).collect();
            format!("[{}]", words.join(", "))
        }
        other => other.to_string(),
    }
}

/// A URL with a password, without it.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((user, _)) = authority.rsplit_once('@') else { return text.to_owned() };
    let Some((name, _)) = user.split_once(':') else { return text.to_owned() };
    format!("{scheme}://{name}:(hidden){}", &rest[user.len()..])
}

/// A digest as short as people compare it.
pub(super) fn short(text: &str) -> String {
    match text.split_once("@sha256:") {
        Some((name, digest)) if digest.len() > 12 => format!("{name}@sha256:{}…", &digest[..12]),
        _ => text.to_owned(),
    }
}

impl Difference {
    /// A line: `~ image  a → b`, `+ field  b`, `- field  a`.
    pub fn line(&self, width: usize) -> String {
        let field = &self.field;
        match (self.before.as_deref().map(short), self.after.as_deref().map(short)) {
            (Some(before), Some(after)) => format!("~ {field:width$}  {before} → {after}"),
            (None, Some(after)) => format!("+ {field:width$}  {after}"),
            (Some(before), None) => format!("- {field:width$}  {before}"),
            (None, None) => format!("  {field}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn leaves(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
        pairs.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect()
    }

    #[test]
    fn each_field_is_said_once_and_the_image_first() {
        let before = leaves(&[
            ("cpu", json!("256")),
            ("containerDefinitions.api.environment.A", json!("1")),
            ("containerDefinitions.api.image", json!("app@sha256:0123456789abcdef")),
            ("containerDefinitions.side.image", json!("side:1")),
        ]);
        let after = leaves(&[
            ("cpu", json!("512")),
            ("containerDefinitions.api.command", json!(["serve", "--page"])),
            ("containerDefinitions.api.image", json!("app@sha256:fedcba9876543210")),
        ]);
        let lines: Vec<String> = differences(&before, &after, "api").iter().map(|one| one.line(5)).collect();
        assert_eq!(
            lines,
            [
                "~ image  app@sha256:0123456789ab… → app@sha256:fedcba987654…",
                "+ command  [serve, --page]",
                "- containerDefinitions.side.image  side:1",
                "~ cpu    256 → 512",
                "- environment.A  1",
            ]
        );
    }

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        let path = |name: &str| format!("containerDefinitions.api.environment.{name}");
        let before =
            BTreeMap::from([(path("DB_PASSWORD"), json!("old-one")), (path("URL"), json!("pg://me:pw1@db/x"))]);
        let after = BTreeMap::from([(path("DB_PASSWORD"), json!("new-one")), (path("URL"), json!("pg://me:pw2@db/y"))]);
        let text: Vec<String> = differences(&before, &after, "api").iter().map(|one| one.line(0)).collect();
        assert_eq!(
            text,
            [
                "~ environment.DB_PASSWORD  (hidden) → (hidden, another)",
                "~ environment.URL  pg://me:(hidden)@db/x → pg://me:(hidden)@db/y",
            ]
        );
    }
}

//! What looks like a secret is kept out of files: a rendered file is committed, and a variable is kept in the state.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::settings::{Environment, EnvironmentSettings};

/// What is known of an environment's secrets. Values are compared and never shown.
pub struct Secrecy {
    /// Lower case, `_` for `-`: the variables and the names of secrets.
    names: BTreeSet<String>,
    values: BTreeSet<String>,
}

/// Words that the name of a value has when it is one; `secret_arn` and `password_days` are not.
const WORDS: [&str; 7] = ["password", "passwd", "secret", "token", "private_key", "api_key", "access_key"];

/// Shorter values would also be found by chance.
const SHORTEST: usize = 6;

impl Secrecy {
    /// The names that services give their secrets, and the values that this process happens to have of them.
    pub fn of(environment: &EnvironmentSettings, process: &Environment) -> Self {
        let mut names = BTreeSet::new();
        let mut values = BTreeSet::new();
        for (variable, name) in environment.services.values().flat_map(|service| &service.secrets) {
            let last = name.trim_start_matches('/').rsplit('/').next().unwrap_or(name);
            for name in [variable.as_str(), last.split(':').next().unwrap_or(last)] {
                names.insert(plain(name));
                values.extend(process.get(name).filter(|value| value.len() >= SHORTEST).map(str::to_owned));
            }
        }
        Self { names, values }
    }

    /// The first value in it that looks like a secret: where, and why.
    pub fn find(&self, name: &str, value: &Value) -> Option<(Vec<String>, String)> {
        let mut path = Vec::new();
        self.walk(name, value, &mut path).map(|why| (path, why))
    }

    fn walk(&self, name: &str, value: &Value, path: &mut Vec<String>) -> Option<String> {
        match value {
            Value::String(text) => self.text(name, text),
            Value::Array(elements) => elements.iter().enumerate().find_map(|(index, element)| {
                path.push(index.to_string());
                let why = self.walk(name, element, path);
                if why.is_none() {
                    path.pop();
                }
                why
            }),
            Value::Object(entries) => entries.iter().find_map(|(key, element)| {
                path.push(key.clone());
                let why = self.walk(key, element, path);
                if why.is_none() {
                    path.pop();
                }
                why
            }),
            _ => None,
        }
    }

    fn text(&self, name: &str, text: &str) -> Option<String> {
        if text.len() >= SHORTEST && self.values.iter().any(|value| text.contains(value.as_str())) {
            return Some("it holds the value of one of the environment's secrets".to_owned());
        }
        if let Some(why) = shape(text) {
            return Some(format!("it looks like {why}"));
        }
        // A reference to a secret is none.
        if text.is_empty() || text.starts_with("arn:") || text.starts_with('/') || text.starts_with("alias/") {
            return None;
        }
        let name = plain(name);
        if self.names.contains(&name) {
            return Some(format!("`{name}` is the name of one of the environment's secrets"));
        }
        let is_one = WORDS.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")));
        is_one.then(|| format!("`{name}` is the name of a secret"))
    }
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// What a text is by its form alone.
fn shape(text: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    if starts(&["AKIA", "ASIA"]) && text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some("an AWS access key");
    }
    if starts(&["ghp_", "gho_", "ghs_", "github_pat_", "xoxb-", "xoxp-", "glpat-", "sk_live_"]) {
        return Some("a token");
    }
    if text.starts_with("eyJ") && text.matches('.').count() == 2 {
        return Some("a signed token");
    }
    let authority = text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    let has_password = user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty());
    has_password.then_some("an address with a password in it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::{Flags, Settings};

    #[test]
    fn secrets_are_known_by_name_by_value_and_by_form() {
        let folder = tempfile::tempdir().unwrap();
        let text = "services: {api: {secrets: {JWT_KEYS: signing-keys, DB: 'db:password'}}}\nenvironments: {prod: {}}";
        std::fs::write(folder.path().join("streamify.yaml"), text).unwrap();
        let process = Environment::from([("JWT_KEYS", "first:abcdef")]);
        let flags = Flags { config: None, directory: Some(folder.path().to_owned()) };
        let settings = Settings::load(&flags, &process).unwrap();
        let secrecy = Secrecy::of(&settings.ship.environment("prod", "x").unwrap(), &process);
        let why = |name: &str, value: Value| secrecy.find(name, &value);

        assert_eq!(why("domain", json!("example.com")), None);
        assert_eq!(why("database", json!({"instance_class": "db.t4g.micro", "backup_days": 7})), None);
        assert_eq!(why("token", json!("arn:aws:secretsmanager:eu-west-1:1:secret:x")), None);
        assert_eq!(why("password_days", json!("ninety")), None);
        assert_eq!(why("mirror", json!("https://example.com/a@b:c")), None);
        assert_eq!(why("x", json!({"a": ["", "postgres://u:p4ss@h/d"]})).unwrap().0, ["a", "1"]);
        for (name, value) in [
            ("signing_keys", "whatever"),
            ("other", "x first:abcdef y"),
            ("db_password", "whatever"),
            ("key", "-----BEGIN RSA PRIVATE KEY-----"),
            ("id", "AKIAIOSFODNN7EXAMPLE"),
            ("x", "ghp_0123456789"),
        ] {
            let (_, why) = why(name, json!(value)).unwrap_or_else(|| panic!("{name}"));
            assert!(!why.contains("abcdef") && !why.contains("whatever"), "{why}");
        }
    }
}

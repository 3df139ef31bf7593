//! What Terraform says went wrong: its diagnostics, shown whole, the ones that explain the others first.

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};

/// A diagnostic of Terraform's JSON
/// (<https://developer.hashicorp.com/terraform/internals/machine-readable-ui>).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Diagnostic {
    pub severity: String,
    pub summary: String,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Snippet>,
}

/// Where in the configuration.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Range {
    /// Relative to the root.
    pub filename: String,
    pub start: Point,
}

/// From 1.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Point {
    pub line: usize,
    pub column: usize,
}

/// The lines it is about.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Snippet {
    pub context: Option<String>,
    pub code: String,
    pub start_line: usize,
    pub highlight_start_offset: usize,
}

/// Why AWS or the network refused, told by the words of its errors.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Sort {
    Lock,
    Credentials,
    Permission,
    Network,
    Other,
}

impl Diagnostic {
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }

    fn sort(&self) -> Sort {
        let text = format!("{} {}", self.summary, self.detail);
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["Error acquiring the state lock"]) {
            Sort::Lock
        } else if has(&[
            "ExpiredToken",
            "token is expired",
            "security token included in the request is expired",
            "No valid credential",
            "no valid credential sources",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "failed to refresh cached credentials",
            "SSO session",
        ]) {
            Sort::Credentials
        } else if has(&["AccessDenied", "UnauthorizedOperation", "is not authorized to perform", "StatusCode: 403"]) {
            Sort::Permission
        } else if has(&["connection refused", "no such host", "i/o timeout", "request send failed", "dial tcp"]) {
            Sort::Network
        } else {
            Sort::Other
        }
    }

    /// All of it: place, lines, words. `root` stands before file names.
    pub fn text(&self, root: &str) -> String {
        let mut lines = Vec::new();
        let place = self.range.as_ref().map(|range| {
            let folder = root.trim_end_matches('/');
            format!("{folder}/{}:{}:{}: ", range.filename, range.start.line, range.start.column)
        });
        let of = self.address.as_ref().map(|address| format!("{address}: ")).unwrap_or_default();
        lines.push(format!("{}{of}{}", place.unwrap_or_default(), self.summary));
        if let Some(snippet) = &self.snippet {
            let width = (snippet.start_line + snippet.code.lines().count()).to_string().len();
            for (index, line) in snippet.code.lines().enumerate() {
                lines.push(format!("  {:width$} | {line}", snippet.start_line + index));
            }
        }
        lines.extend(self.detail.trim().lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        lines.join("\n")
    }
}

/// Who holds a state's lock.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Lock {
    pub id: String,
    pub who: String,
    pub operation: String,
    /// As Terraform writes it, in UTC.
    pub created: String,
}

impl Lock {
    /// Reads it from the text of an error; its form is the same in every backend.
    pub fn find(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = text.lines().map(str::trim).find(|line| line.starts_with(key))?;
            Some(line[key.len()..].trim().to_owned()).filter(|value| !value.is_empty())
        };
        Some(Self {
            id: value("ID:")?,
            who: value("Who:").unwrap_or_default(),
            operation: value("Operation:").unwrap_or_default().trim_start_matches("OperationType").to_lowercase(),
            created: value("Created:").unwrap_or_default(),
        })
    }

    /// To the second.
    fn since(&self) -> String {
        let text = self.created.split('.').next().unwrap_or(&self.created).trim_end_matches(" +0000 UTC");
        format!("{text} UTC")
    }
}

/// The failure that a run's diagnostics come to.
pub fn failure(doing: &str, environment: &str, root: &str, diagnostics: &[Diagnostic]) -> Failure {
    let mut errors: Vec<&Diagnostic> = diagnostics.iter().filter(|one| one.is_error()).collect();
    errors.sort_by_key(|one| one.sort());
    let first = errors.first().map_or(Sort::Other, |one| one.sort());
    if first == Sort::Lock
        && let Some(lock) = Lock::find(&errors[0].detail)
    {
        let what = if lock.operation.is_empty() { String::new() } else { format!(", {}", lock.operation) };
        return Failure::failed(format!(
            "the state of {environment} is locked by {}{what}, since {}",
            lock.who,
            lock.since()
        ))
        .cause(format!("the lock is {}", lock.id))
        .hint("Wait for it: the same command with --wait 10 (minutes)")
        .hint(format!("When that run is dead: streamify infra unlock {environment} {}", lock.id));
    }
    let count = match errors.len() {
        1 => "an error".to_owned(),
        count => format!("{count} errors"),
    };
    let (kind, message, hint) = match first {
        Sort::Credentials => (
            Kind::Failed,
            format!("{doing} {environment}: AWS does not take these credentials"),
            Some("Sign in again: aws sso login, or renew what AWS_PROFILE or AWS_ACCESS_KEY_ID name."),
        ),
        Sort::Permission => (
            Kind::Failed,
            format!("{doing} {environment}: a permission is missing"),
            Some("The first cause names the action and who lacks it."),
        ),
        Sort::Network => (
            Kind::Unreachable,
            format!("{doing} {environment}: something can't be reached"),
            Some("Is there a network, and is AWS_ENDPOINT_URL right where it is set?"),
        ),
        Sort::Lock | Sort::Other => (Kind::Failed, format!("{doing} {environment}: Terraform found {count}"), None),
    };
    let failure = errors.iter().fold(Failure::new(kind, message), |failure, one| failure.cause(one.text(root)));
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Takes the frames away that Terraform draws around errors for people.
pub fn unframed(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_matches(['│', '╷', '╵', ' '])).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The failure of a run that speaks to people alone.
pub fn failure_of_text(doing: &str, environment: &str, text: &str) -> Failure {
    let plain = unframed(text);
    let (summary, detail) = plain.split_once('\n').unwrap_or((&plain, ""));
    let summary = summary.trim_start_matches("Error: ").to_owned();
    let diagnostic =
        Diagnostic { severity: "error".to_owned(), summary, detail: detail.to_owned(), ..Diagnostic::default() };
    failure(doing, environment, "", &[diagnostic])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "Error message: operation error S3: PutObject, https response error StatusCode: 412\nLock Info:\n  \
                        ID:        93b2d6d7-60c3\n  Path:      b/k\n  Operation: OperationTypeApply\n  Who:       anna@host\n  \
                        Version:   1.11.4\n  Created:   2026-11-24 16:39:06.349597215 +0000 UTC\n  Info:      \n\nTerraform acquires";

    fn error(summary: &str, detail: &str) -> Diagnostic {
        Diagnostic { severity: "error".into(), summary: summary.into(), detail: detail.into(), ..Diagnostic::default() }
    }

    #[test]
    fn a_lock_names_its_holder_and_what_to_do() {
        let failure = failure("plan", "prod", "root", &[error("Error acquiring the state lock", LOCK)]);
        assert_eq!(failure.message, "the state of prod is locked by anna@host, apply, since 2026-11-24 16:39:06 UTC");
        assert!(failure.hints[1].ends_with("streamify infra unlock prod 93b2d6d7-60c3"), "{failure:?}");
    }

    #[test]
    fn what_explains_the_others_comes_first_and_whole() {
        let all = [
            error("creating ECS Cluster", "waiting for it"),
            error("reading IAM Role", "AccessDenied: User: arn:x is not authorized to perform: iam:GetRole"),
            Diagnostic { severity: "warning".into(), ..error("old", "") },
        ];
        let failure = failure("apply", "prod", "root", &all);
        assert!(failure.message.contains("permission"), "{failure:?}");
        assert!(failure.causes[0].contains("iam:GetRole"), "{failure:?}");
        assert_eq!(failure.causes.len(), 2);
    }

    #[test]
    fn place_and_lines_are_shown() {
        let text = r#"{"severity":"error","summary":"Unsupported attribute","detail":"No such.\n\nHint.","range":{
            "filename":"main.tf","start":{"line":9,"column":3,"byte":1},"end":{"line":9,"column":5,"byte":2}},
            "snippet":{"context":"resource \"x\" \"y\"","code":"  input = a.b","start_line":9,"highlight_start_offset":10}}"#;
        let one: Diagnostic = serde_json::from_str(text).unwrap();
        assert_eq!(
            one.text("terraform/environments/prod"),
            "terraform/environments/prod/main.tf:9:3: Unsupported attribute\n   9 |   input = a.b\nNo such.\nHint."
        );
        let framed =
            failure_of_text("init", "prod", "╷\n│ Error: No valid credential sources found\n│ \n│ please\n╵\n");
        assert!(framed.message.contains("credentials") && framed.causes[0].contains("please"), "{framed:?}");
    }
}

//! What Git and the environment say of the sources: revision, where they are, when.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::settings::Environment;

/// What is known of the sources that an image is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The commit; with `-dirty` where tracked files differ from it.
    pub revision: Option<String>,
    /// By the nearest tag, as in `1.2.0` or `1.2.0-3-g0123456`.
    pub version: Option<String>,
    /// The repository's address, for people.
    pub source: Option<String>,
    /// Seconds since 1970 that stand for when it was made: never the clock, or no two builds would be the same.
    pub created: i64,
}

impl Facts {
    /// Asks Git about a folder. Where there is no repository, little is known.
    ///
    /// # Errors
    /// `SOURCE_DATE_EPOCH` is no number.
    pub fn of(folder: &Path, environment: &Environment) -> Result<Self> {
        let epoch = match environment.get("SOURCE_DATE_EPOCH") {
            None => None,
            Some(text) => Some(text.parse::<i64>().ok().filter(|seconds| is_time(*seconds)).ok_or_else(|| {
                Failure::usage(format!("the variable SOURCE_DATE_EPOCH is not valid: {text}"))
                    .hint("It is a number of seconds since 1970, such as `git log -1 --format=%ct` prints.")
            })?),
        };
        let (described, time, remote) = std::thread::scope(|scope| {
            let long = ["describe", "--tags", "--always", "--long", "--dirty", "--abbrev=40"];
            let described = scope.spawn(move || git(folder, &long));
            let time = scope.spawn(move || git(folder, &["log", "-1", "--format=%ct"]));
            let remote = git(folder, &["config", "--get", "remote.origin.url"]);
            (described.join().ok().flatten(), time.join().ok().flatten(), remote)
        });
        let time = time.and_then(|text| text.parse().ok()).filter(|seconds| is_time(*seconds));
        let described = described.as_deref().and_then(read_description);
        let (revision, version) = described.map_or((None, None), |(revision, version)| (Some(revision), version));
        Ok(Self {
            revision,
            version,
            source: remote.as_deref().and_then(public_address),
            created: epoch.or(time).unwrap_or(0),
        })
    }

    /// As RFC 3339.
    pub fn created_text(&self) -> String {
        jiff::Timestamp::from_second(self.created).map(|time| time.to_string()).unwrap_or_default()
    }

    /// What tells this image from others, for its tag: the commit's first digits, and more of the content where it is
    /// not what was committed.
    pub fn tag(&self, content: &str) -> String {
        match self.revision.as_deref() {
            None => content.to_owned(),
            Some(revision) => match revision.strip_suffix("-dirty") {
                None => revision.chars().take(12).collect(),
                Some(revision) => format!("{}-{}", &revision[..12.min(revision.len())], &content[..8]),
            },
        }
    }
}

fn is_time(seconds: i64) -> bool {
    seconds >= 0 && jiff::Timestamp::from_second(seconds).is_ok()
}

fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(words).stdin(Stdio::null()).stderr(Stdio::null());
    // Without optional locks a build never gets into the way of somebody's commit.
    let output = command.env("GIT_OPTIONAL_LOCKS", "0").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// `TAG-N-gCOMMIT` or, without a tag, `COMMIT`; `-dirty` may follow. Gives the revision and the version.
fn read_description(text: &str) -> Option<(String, Option<String>)> {
    let (text, suffix) = match text.strip_suffix("-dirty") {
        Some(rest) => (rest, "-dirty"),
        None => (text, ""),
    };
    let is_commit = |text: &str| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit(text) {
        return Some((format!("{text}{suffix}"), None));
    }
    let (rest, commit) = text.rsplit_once("-g")?;
    let (tag, count) = rest.rsplit_once('-')?;
    if !is_commit(commit) {
        return None;
    }
    let tag = tag.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(tag);
    let version = if count == "0" { tag.to_owned() } else { format!("{tag}-{count}-g{}", &commit[..7]) };
    Some((format!("{commit}{suffix}"), Some(format!("{version}{suffix}"))))
}

/// A repository's address without what only its owner may know; `git@host:path` as https.
fn public_address(remote: &str) -> Option<String> {
    let (host, path) = match remote.split_once("://") {
        Some((scheme, rest)) if ["https", "http", "ssh", "git"].contains(&scheme) => {
            let (host, path) = rest.split_once('/')?;
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let host = if scheme == "ssh" { host.split(':').next()? } else { host };
            (host, path)
        }
        Some(_) => return None,
        None => {
            let (host, path) = remote.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            (host.rsplit_once('@').map_or(host, |(_, host)| host), path)
        }
    };
    let path = path.trim_matches('/');
    Some(format!("https://{host}/{}", path.strip_suffix(".git").unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn descriptions_of_git_are_taken_apart() {
        let read = |text: String| read_description(&text);
        assert_eq!(read(COMMIT.into()), Some((COMMIT.into(), None)));
        assert_eq!(read(format!("v1.2.0-0-g{COMMIT}")), Some((COMMIT.into(), Some("1.2.0".into()))));
        let dirty = read(format!("release-2-3-g{COMMIT}-dirty")).unwrap();
        assert_eq!(dirty, (format!("{COMMIT}-dirty"), Some("release-2-3-g0123456-dirty".into())));
        assert_eq!(read("nonsense".into()), None);
    }

    #[test]
    fn secrets_in_a_remote_never_get_into_a_label() {
        for (remote, expected) in [
            ("https://user:token@git.example.com/team/app.git", Some("https://git.example.com/team/app")),
            ("git@git.example.com:team/app.git", Some("https://git.example.com/team/app")),
            ("ssh://git@git.example.com:2222/team/app", Some("https://git.example.com/team/app")),
            ("/srv/git/app.git", None),
            ("file:///srv/app", None),
        ] {
            assert_eq!(public_address(remote).as_deref(), expected, "{remote}");
        }
    }

    #[test]
    fn a_tag_says_what_is_in_the_image() {
        let content = "f00dfeed0000";
        let with = |revision: Option<&str>| Facts { revision: revision.map(str::to_owned), ..Facts::default() };
        assert_eq!(with(Some(COMMIT)).tag(content), "0123456789ab");
        assert_eq!(with(Some(&format!("{COMMIT}-dirty"))).tag(content), "0123456789ab-f00dfeed");
        assert_eq!(with(None).tag(content), content);
    }

    #[test]
    fn the_time_is_the_one_that_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| Facts::of(folder.path(), &Environment::from([("SOURCE_DATE_EPOCH", text)]));
        assert_eq!(of("1700000000").unwrap().created_text(), "2023-11-14T22:13:20Z");
        assert_eq!(of("soon").unwrap_err().kind.exit_code(), 2);
        assert_eq!(Facts::of(folder.path(), &Environment::default()).unwrap().created, 0);
    }
}

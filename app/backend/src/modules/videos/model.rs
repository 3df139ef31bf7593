use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::http::problem::{FieldError, Problem};

/// A video.
#[derive(Serialize, ToSchema)]
pub(crate) struct Video {
    /// UUID version 7: newer videos have greater ids.
    pub(crate) id: Uuid,
    #[schema(example = "A walk by the sea")]
    pub(crate) title: String,
    pub(crate) description: String,
    #[schema(example = "https://example.com/sea.mp4")]
    pub(crate) url: String,
    pub(crate) owner: Owner,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

/// Who added a video.
#[derive(Serialize, ToSchema)]
pub(crate) struct Owner {
    pub(crate) id: Uuid,
    #[schema(example = "Ada")]
    pub(crate) name: String,
}

/// A video to add.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVideo {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S", example = "A walk by the sea")]
    pub(crate) title: String,
    #[serde(default)]
    #[schema(max_length = 5000)]
    pub(crate) description: String,
    /// `http` or `https`.
    #[schema(max_length = 2000, pattern = "^https?://", example = "https://example.com/sea.mp4")]
    pub(crate) url: String,
}

/// What to change of a video; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VideoChange {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub(crate) title: Option<String>,
    #[schema(max_length = 5000)]
    pub(crate) description: Option<String>,
    #[schema(max_length = 2000, pattern = "^https?://")]
    pub(crate) url: Option<String>,
}

/// Which videos.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listing {
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: Option<u8>,
    /// Only those with this in their title; upper and lower case are the same.
    #[param(max_length = 200)]
    pub(crate) q: Option<String>,
}

/// One page of videos, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    pub(crate) items: Vec<Video>,
    /// For the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

const LONGEST_TITLE: usize = 200;
const LONGEST_DESCRIPTION: usize = 5_000;
const LONGEST_URL: usize = 2_000;
const LONGEST_SEARCH: usize = 200;
const USUAL_LIMIT: u8 = 20;
const LARGEST_LIMIT: u8 = 100;

impl NewVideo {
    /// The same, in the form that is kept.
    pub(super) fn checked(self) -> Result<Self, Problem> {
        let change = VideoChange { title: Some(self.title), description: Some(self.description), url: Some(self.url) }
            .checked()?;
        // Each was given, so each is there.
        let kept = |field: Option<String>| field.unwrap_or_default();
        Ok(Self { title: kept(change.title), description: kept(change.description), url: kept(change.url) })
    }
}

impl VideoChange {
    /// The same, in the form that is kept.
    pub(super) fn checked(self) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        let title = self.title.map(|title| title.trim().to_owned());
        if title.as_deref() == Some("") {
            errors.push(FieldError::new("title", "required", "is empty"));
        }
        let description = self.description.map(|description| description.trim().to_owned());
        let url = self.url.map(|url| url.trim().to_owned());
        if url.as_deref().is_some_and(|url| !is_web_address(url)) {
            errors.push(FieldError::new("url", "invalid", "is not an address that begins with http:// or https://"));
        }
        let limits = [
            ("title", &title, LONGEST_TITLE),
            ("description", &description, LONGEST_DESCRIPTION),
            ("url", &url, LONGEST_URL),
        ];
        for (field, value, longest) in limits {
            let Some(value) = value else { continue };
            if value.chars().count() > longest {
                errors.push(FieldError::new(field, "too_long", format!("has more than {longest} characters")));
            }
            // PostgreSQL's text can't hold it.
            if value.contains('\0') {
                errors.push(FieldError::new(field, "invalid", "has a null character"));
            }
        }
        if errors.is_empty() { Ok(Self { title, description, url }) } else { Err(Problem::fields(errors)) }
    }
}

fn is_web_address(text: &str) -> bool {
    // The parser passes over line breaks and tabs; other readers of the address would not.
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// A checked [`Listing`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Selection {
    pub(super) before: Option<Uuid>,
    pub(super) limit: u8,
    /// A pattern of SQL's `like`.
    pub(super) pattern: Option<String>,
}

impl Listing {
    pub(super) fn checked(self) -> Result<Selection, Problem> {
        let mut errors = Vec::new();
        let before = self.cursor.as_deref().map(read_cursor);
        if before == Some(None) {
            errors.push(FieldError::new("cursor", "invalid", "is not one that this server gave"));
        }
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        if !(1..=LARGEST_LIMIT).contains(&limit) {
            errors.push(FieldError::new("limit", "invalid", format!("is not between 1 and {LARGEST_LIMIT}")));
        }
        let search = self.q.as_deref().map(str::trim).filter(|search| !search.is_empty());
        if search.is_some_and(|search| search.chars().count() > LONGEST_SEARCH || search.contains('\0')) {
            errors.push(FieldError::new(
                "q",
                "invalid",
                format!("has more than {LONGEST_SEARCH} characters or a null"),
            ));
        }
        if errors.is_empty() {
            Ok(Selection { before: before.flatten(), limit, pattern: search.map(contains_pattern) })
        } else {
            Err(Problem::query(errors))
        }
    }
}

/// What `like` takes as "contains this text", whatever the text.
fn contains_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The cursor after a video: opaque to clients, so that its meaning can change.
pub(super) fn write_cursor(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

fn read_cursor(text: &str) -> Option<Uuid> {
    Uuid::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let id = Uuid::now_v7();
        assert_eq!(read_cursor(&write_cursor(id)), Some(id));
        assert!(["", "x", "????", "AAAA"].iter().all(|text| read_cursor(text).is_none()));
    }

    #[test]
    fn a_search_means_its_letters_and_nothing_else() {
        assert_eq!(contains_pattern(r"50%_\"), r"%50\%\_\\%");
    }

    #[test]
    fn addresses_are_of_the_web() {
        assert!(["http://a/b", "https://example.com:8443/x?y#z", "HTTPS://a"].iter().all(|text| is_web_address(text)));
        let wrong =
            ["", "a", "/a", "ftp://a", "javascript:alert(1)", "http://", "http://a b", "http://a\n/b", "http://[x"];
        assert!(wrong.iter().all(|text| !is_web_address(text)));
    }

    #[test]
    fn a_wrong_query_is_refused_with_its_parameters_named() {
        let wrong = Listing { cursor: Some("x".into()), limit: Some(101), q: Some("\0".into()) };
        let problem = wrong.checked().err().unwrap();
        let named: Vec<_> = problem.errors.iter().map(|error| error.field.as_ref()).collect();
        assert_eq!(
            (named.as_slice(), problem.status()),
            (["cursor", "limit", "q"].as_slice(), StatusCode::BAD_REQUEST)
        );
        let usual = Listing { cursor: None, limit: None, q: Some("  ".into()) }.checked().ok().unwrap();
        assert!((usual.limit, usual.before, usual.pattern) == (20, None, None), "blank searches find everything");
    }

    #[test]
    fn every_wrong_field_is_named() {
        let video = NewVideo { title: "  ".into(), description: "x".repeat(5_001), url: "ftp://a/b".into() };
        let problem = video.checked().err().unwrap();
        let named: Vec<_> = problem.errors.iter().map(|error| (error.field.as_ref(), error.code)).collect();
        assert_eq!(named, [("title", "required"), ("url", "invalid"), ("description", "too_long")]);
    }
}

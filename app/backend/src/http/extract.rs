//! What handlers take from a request; whatever is wrong with it is answered with a problem document.

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::problem::{FieldError, Problem};

/// A JSON body: one object.
pub(crate) struct Body<T>(pub(crate) T);

/// Parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

/// The query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "The body must be JSON, with the header Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE),
            status => Problem::new(status, "The body can't be read"),
        })?;
        read(&bytes).map(Self)
    }
}

/// `application/json` or `application/*+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let Some((main, sub)) = kind.split_once('/') else { return false };
    let suffix = sub.rsplit('+').next().unwrap_or(sub);
    main.eq_ignore_ascii_case("application") && suffix.eq_ignore_ascii_case("json")
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // An array would be taken for the fields in their order.
    let is_object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_object {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| not_json(&error))?;
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The body must be a JSON object"));
    }
    match serde_json::from_slice(bytes) {
        Ok(body) => Ok(body),
        Err(error) if error.is_data() => Err(wrong_data::<T>(bytes, &error)),
        Err(error) => Err(not_json(&error)),
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    // Serde says where: "… at line 1 column 2".
    Problem::new(StatusCode::BAD_REQUEST, format!("The body is not JSON: {error}"))
}

/// Names the field, by reading once more with a reader that keeps track.
fn wrong_data<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(tracked) => tracked.path().to_string(),
        Ok(_) => String::new(),
    };
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Problem::fields(vec![field_error(&path, message)])
}

/// What serde says of a field, as data.
fn field_error(path: &str, message: &str) -> FieldError {
    // The field's name is in the message where it is not in the path.
    let named = || message.split('`').nth(1).unwrap_or_default().to_owned();
    let path = path.trim_start_matches('.');
    if message.starts_with("unknown field") {
        FieldError::new(named(), "unknown", "is not a field of this request")
    } else if message.starts_with("missing field") {
        FieldError::new(named(), "required", "is missing")
    } else if message.starts_with("duplicate field") {
        FieldError::new(named(), "duplicate", "is there twice")
    } else {
        FieldError::new(path.to_owned(), "invalid", message.to_owned())
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            // An id that can't be one names nothing.
            Err(PathRejection::FailedToDeserializePathParams(_)) => Err(Problem::of_status(StatusCode::NOT_FOUND)),
            Err(rejection) => Err(Problem::of_status(rejection.status())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(QueryRejection::FailedToDeserializeQueryString(rejection)) => {
                // "Failed to deserialize query string: limit: invalid digit found in string"
                let text = rejection.body_text();
                let said = text.split_once(": ").map_or(text.as_str(), |(_, said)| said);
                let (path, message) = said.split_once(": ").unwrap_or(("", said));
                Err(Problem::query(vec![field_error(path, message)]))
            }
            Err(rejection) => Err(Problem::of_status(rejection.status())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read, to see what is refused")]
    struct Example {
        title: String,
        #[serde(default)]
        count: u8,
    }

    fn problem(text: &str) -> serde_json::Value {
        serde_json::from_slice(&read::<Example>(text.as_bytes()).unwrap_err().document("")).unwrap()
    }

    #[test]
    fn what_is_not_json_is_placed() {
        let broken = problem("{\"title\": \"a\",\n oops}");
        assert_eq!(broken["status"], 400);
        assert!(broken["detail"].as_str().unwrap().ends_with("at line 2 column 2"), "{broken}");
        assert_eq!(problem("")["status"], 400);
        assert_eq!(problem("{\"title\": \"a\"} more")["status"], 400);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(problem(r#"["a", 1]"#)["detail"], "The body must be a JSON object");
        assert_eq!(problem("null")["status"], 422);
    }

    #[test]
    fn wrong_fields_are_named() {
        let first = |text| problem(text)["errors"][0].clone();
        let named = |text| (first(text)["field"].clone(), first(text)["code"].clone());
        assert_eq!(named("{}"), ("title".into(), "required".into()));
        assert_eq!(named(r#"{"title": "a", "more": 1}"#), ("more".into(), "unknown".into()));
        assert_eq!(named(r#"{"title": "a", "title": "b"}"#), ("title".into(), "duplicate".into()));
        assert_eq!(named(r#"{"title": 1}"#), ("title".into(), "invalid".into()));
        assert_eq!(first(r#"{"title": "a", "count": "x"}"#)["message"], "invalid type: string \"x\", expected u8");
        assert_eq!(named(r#"{"title": "a", "count": 300}"#), ("count".into(), "invalid".into()));
    }

    #[test]
    fn json_is_known_by_its_media_type() {
        let is_json = |text: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static(text))]))
        };
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(is_json("application/merge-patch+json"));
        assert!(!is_json("text/json") && !is_json("application/x-www-form-urlencoded") && !is_json(""));
    }
}

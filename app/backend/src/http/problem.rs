//! Errors as problem documents (RFC 9457): what happened, in a form for programs and for people.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field's name, as in the request.
    #[schema(value_type = String, example = "title")]
    pub(crate) field: Cow<'static, str>,
    /// For people.
    #[schema(value_type = String, example = "is empty")]
    pub(crate) message: Cow<'static, str>,
    /// For programs: `required`, `too_short`, `too_long`, `invalid`, `taken`, `unknown` or `duplicate`.
    #[schema(value_type = String, example = "required")]
    pub(crate) code: &'static str,
}

impl FieldError {
    /// Names what is wrong with a field.
    pub(crate) fn new(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), message: message.into(), code }
    }
}

/// An error, as every route answers it (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem; `about:blank` means that the status says it all.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "about:blank")]
    kind: &'static str,
    /// The kind of problem, for people.
    #[schema(value_type = String, example = "Unprocessable Entity")]
    title: &'static str,
    /// The HTTP status, again.
    #[schema(value_type = u16, example = 422)]
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    /// This occurrence, for people.
    #[schema(value_type = String, example = "title: is empty")]
    detail: Cow<'static, str>,
    /// The request's id, by which logs know this occurrence.
    #[schema(value_type = String, example = "0190f5fe-7c00-7a00-8000-000000000000")]
    instance: Cow<'static, str>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after: Option<u64>,
    #[serde(skip)]
    challenge: Option<&'static str>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem that its status describes.
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            instance: Cow::Borrowed(""),
            errors: Vec::new(),
            retry_after: None,
            challenge: None,
        }
    }

    /// Says with `status` which fields are wrong.
    pub(crate) fn about(status: StatusCode, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{}: {}", only.field, only.message),
            several => format!("{} fields are not valid", several.len()),
        };
        Self { errors, ..Self::new(status, detail) }
    }

    /// Fields of a body that are not valid (422).
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        Self::about(StatusCode::UNPROCESSABLE_ENTITY, errors)
    }

    /// Parameters of a query that are not valid (400).
    pub(crate) fn query(errors: Vec<FieldError>) -> Self {
        Self::about(StatusCode::BAD_REQUEST, errors)
    }

    /// Nobody has said who asks (401).
    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self { challenge: Some(r#"Bearer realm="streamify""#), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// The token is not good (401; RFC 6750, section 3.1).
    pub(crate) fn invalid_token(detail: &'static str) -> Self {
        let challenge = Some(r#"Bearer realm="streamify", error="invalid_token""#);
        Self { challenge, ..Self::unauthorized(detail) }
    }

    /// Known, but not allowed (403).
    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// There is no such thing (404).
    pub(crate) fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Too many tries (429); seconds until the next one.
    pub(crate) fn too_many(seconds: u64) -> Self {
        let detail = format!("Too many tries. Try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// Something of ours broke (500): the reason is logged, never sent.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side")
    }

    /// What a bare status means that nobody has explained.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "There is nothing at this path",
            StatusCode::METHOD_NOT_ALLOWED => {
                "This path does not take this method; the header Allow names those it takes"
            }
            StatusCode::PAYLOAD_TOO_LARGE => "The body is larger than this server takes",
            StatusCode::SERVICE_UNAVAILABLE => "The request took longer than this server waits; try again",
            _ => status.canonical_reason().unwrap_or("The request failed"),
        };
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { retry_after, ..Self::new(status, detail) }
    }

    /// Whether the same request may be answered well in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// The document of this occurrence.
    pub(super) fn document(&self, instance: &str) -> Vec<u8> {
        let problem = Self { instance: Cow::Owned(instance.to_owned()), ..self.clone() };
        // Only a map with keys that are no strings could fail; there is none.
        serde_json::to_vec(&problem).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Seconds until it is worth trying again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// How to say who asks.
    pub(super) fn challenge(&self) -> Option<&'static str> {
        self.challenge
    }
}

/// SQLSTATE classes and codes that tell of a server that is away or busy for now, not of a wrong query: connection
/// exceptions, rolled-back conflicts, insufficient resources, shutdown, crash, and a replica before its promotion.
fn is_passing(code: &str) -> bool {
    let classes = ["08", "40", "53"];
    classes.iter().any(|class| code.starts_with(class)) || matches!(code, "57P01" | "57P02" | "57P03" | "25006")
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let passing = match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
            sqlx::Error::Database(database) => database.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        };
        if passing {
            tracing::warn!(%error, "the database can't be reached");
            let detail = "The database can't be reached; try again";
            Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
        } else {
            Self::internal(&error)
        }
    }
}

impl IntoResponse for Problem {
    /// A response that carries the problem; `layers::observe` writes the document, since it knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(problem: &Problem) -> serde_json::Value {
        serde_json::from_slice(&problem.document("an-id")).unwrap()
    }

    #[test]
    fn a_document_has_the_members_of_the_standard() {
        let expected = serde_json::json!({
            "type": "about:blank", "title": "Not Found", "status": 404, "detail": "No such video", "instance": "an-id",
        });
        assert_eq!(json(&Problem::not_found("No such video")), expected);
    }

    #[test]
    fn fields_are_named() {
        let one = json(&Problem::fields(vec![FieldError::new("title", "required", "is empty")]));
        assert_eq!(one["detail"], "title: is empty");
        let error = serde_json::json!([{"field": "title", "message": "is empty", "code": "required"}]);
        assert_eq!(one["errors"], error);
        let two = vec![FieldError::new("a", "invalid", "x"), FieldError::new("b", "invalid", "y")];
        let two = json(&Problem::query(two));
        assert_eq!((&two["status"], &two["detail"]), (&400.into(), &"2 fields are not valid".into()));
    }

    #[test]
    fn what_broke_inside_is_not_told() {
        let problem = json(&sqlx::Error::ColumnNotFound("password_hash".into()).into());
        assert_eq!(problem["status"], 500);
        assert!(!problem.to_string().contains("password_hash"));
    }

    #[test]
    fn a_database_that_is_away_is_no_fault_of_ours() {
        assert_eq!(json(&sqlx::Error::PoolTimedOut.into())["status"], 503);
        assert!(["57P01", "08006", "53300", "40P01"].iter().all(|code| is_passing(code)));
        assert!(!is_passing("42601"));
    }
}

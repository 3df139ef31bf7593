//! The API's description (OpenAPI 3.1), made from the routes themselves.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::health;
use super::problem::Problem;
use crate::modules::{auth, users, videos};
use crate::state::State;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Streamify",
        description = "Videos that people add, and the news of them. Log in for a token; \
                       errors are problem documents (RFC 9457).",
        license(name = "MIT", identifier = "MIT")
    ),
    components(schemas(Problem)),
    security(("bearer" = [])),
    tags(
        (name = "auth", description = "Accounts and tokens"),
        (name = "users", description = "Who one is"),
        (name = "videos", description = "What people add"),
        (name = "events", description = "What happens, as it happens"),
        (name = "health", description = "Whether the server can do its work"),
        (name = "description", description = "This document"),
    ),
)]
struct Description;

/// The described routes, and their description.
pub(super) fn described() -> (axum::Router<State>, utoipa::openapi::OpenApi) {
    let (router, mut openapi) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(auth::router())
        .merge(users::router())
        .merge(videos::router())
        .merge(health::router())
        .routes(routes!(super::socket))
        .routes(routes!(describe))
        .split_for_parts();
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    for item in openapi.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(add_problems);
    }
    (router, openapi)
}

/// The description alone, such as for a client's types.
///
/// # Examples
/// `streamify_backend::openapi().to_pretty_json()` is what `/openapi.json` answers.
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().1
}

/// Adds the errors that every route of a kind can answer, and says that errors are problem documents.
fn add_problems(operation: &mut Operation) {
    let mut common = vec![
        ("500", "Something went wrong on the server's side"),
        ("503", "The database can't be reached, or the request took too long; worth trying again"),
    ];
    // A route that is public says so with an empty requirement of its own.
    if operation.security.is_none() {
        common.push(("401", "No token, or one that is not valid"));
    }
    if operation.request_body.is_some() {
        common.extend([
            ("400", "The body is not JSON"),
            ("413", "The body is too large"),
            ("415", "The body does not say that it is JSON"),
            ("422", "Fields of the body are missing, unknown or not valid"),
        ]);
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in common {
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new(description)));
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
            && response.content.is_empty()
        {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert("application/problem+json".to_owned(), RefOr::T(problem));
        }
    }
}

/// This description
#[utoipa::path(get, path = "/openapi.json", tag = "description", security(()), responses(
    (status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object),
))]
async fn describe() -> impl IntoResponse {
    // The same for every server of this binary, so it is written once. Names are its only keys: writing can't fail.
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi().to_pretty_json().unwrap_or_default().into());
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PUBLIC_ROUTES;

    fn operations() -> Vec<(String, String, serde_json::Value)> {
        let document = serde_json::to_value(openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().unwrap().clone();
        let each = paths.into_iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().clone();
            methods.into_iter().map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
        });
        each.collect()
    }

    #[test]
    fn what_is_said_to_be_public_is_what_the_guard_lets_through() {
        for (method, path, operation) in operations() {
            let is_public = PUBLIC_ROUTES.contains(&(method.as_str(), path.as_str()));
            assert_eq!(operation.get("security").is_some(), is_public, "{method} {path}");
            assert_eq!(
                operation["responses"].get("401").is_none(),
                is_public && path != "/api/auth/login" && path != "/api/auth/refresh",
                "{method} {path}"
            );
        }
    }

    #[test]
    fn every_error_is_a_problem_document() {
        for (method, path, operation) in operations() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_own = matches!(path.as_str(), "/health/ready" | "/health/started") && status == "503";
                if status.as_str() >= "400" && !is_own {
                    let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {status}");
                }
            }
        }
    }

    #[test]
    fn the_page_is_built_from_this_description() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../frontend/openapi.json");
        let ours = openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &ours).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap() == ours,
            "run `UPDATE=1 cargo test -p streamify-backend built_from`, and `npm run types` in app/frontend"
        );
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let names: Vec<_> =
            operations().into_iter().map(|(.., operation)| operation["operationId"].to_string()).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }
}

//! What holds for every request.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::api::{PASSWORD, answer};
use crate::support::backend::{Backend, config, nowhere};
use crate::support::postgres::database;

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problem_documents_whoever_makes_them() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    let signed_in = api.as_new_user("ada").await;
    let large = "x".repeat(70 * 1024);
    let json_type = ("content-type", "application/json");
    let post =
        |path: &str, body: &str| api.request("POST", path).header(json_type.0, json_type.1).body(body.to_owned());
    let cases = [
        (404, api.request("GET", "/nothing")),
        (405, signed_in.request("DELETE", "/api/auth/login")),
        (405, signed_in.request("PUT", "/api/videos")),
        (400, post("/api/auth/login", "{")),
        (422, post("/api/auth/login", "[]")),
        (422, post("/api/auth/login", "{}")),
        (413, post("/api/auth/login", &large)),
        (415, api.request("POST", "/api/auth/login").body("email=a")),
        (401, api.request("GET", "/api/videos")),
        (400, api.request("GET", "/ws")),
    ];
    for (expected, request) in cases {
        let response = request.header("x-request-id", "an-id").send().await.unwrap();
        let url = response.url().path().to_owned();
        assert_eq!(response.status(), expected, "{url}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{url}");
        assert_eq!(response.headers()["x-request-id"], "an-id");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], expected, "{url}");
        assert_eq!((&problem["type"], &problem["instance"]), (&json!("about:blank"), &json!("an-id")));
        assert!(["title", "detail"].iter().all(|name| !problem[name].as_str().unwrap().is_empty()), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_security_headers_and_an_id() {
    let backend = Backend::without_kafka().await;
    let response = backend.api().request("GET", "/health/live").send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert!(header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "no-store");
    assert!(header("x-request-id").parse::<uuid::Uuid>().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pages_origin_may_call() {
    let backend = Backend::without_kafka().await;
    let preflight = async |origin: &str| {
        let request = backend.api().request("OPTIONS", "/api/videos").header("origin", origin);
        let request = request.header("access-control-request-method", "PATCH");
        let response = request.header("access-control-request-headers", "authorization").send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_lowercase());
        (
            header("access-control-allow-origin"),
            header("access-control-allow-methods"),
            header("access-control-allow-headers"),
        )
    };
    let (origin, methods, headers) = preflight("http://localhost:3000").await;
    assert_eq!(origin.as_deref(), Some("http://localhost:3000"));
    assert!(methods.unwrap().contains("patch") && headers.unwrap().contains("authorization"));
    assert_eq!(preflight("https://evil.example").await.0, None);

    // A browser does not hold sockets to CORS; the server does.
    let upgrade = |origin: &str| {
        let request = backend.api().request("GET", "/ws").header("origin", origin);
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        request.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    assert_eq!(upgrade("https://evil.example").send().await.unwrap().status(), 403);
    assert_eq!(upgrade("http://localhost:3000").send().await.unwrap().status(), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tries_are_told_when_to_come_back() {
    let url = database().await;
    let mut config = config(&url, &nowhere());
    config.logins_per_minute = 6;
    config.trusted_proxies = 1;
    let backend = Backend::start(config).await;
    let api = backend.api();
    // Nobody waits for a hash here: what is wrong with the body is found first.
    let from =
        |address: &str| api.request("POST", "/api/auth/register").header("x-forwarded-for", address).json(&json!({}));
    for _ in 0..6 {
        assert_eq!(answer(from("192.0.2.1")).await.0, 422);
    }
    let response = from("192.0.2.1").send().await.unwrap();
    assert_eq!(response.status(), 429);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(answer(from("192.0.2.2")).await.0, 422, "somebody else");
    assert_eq!(answer(from("192.0.2.9, 192.0.2.1")).await.0, 429, "the client's own words are not believed");

    // One account, from many addresses.
    let log_in = |number: u8| {
        let request = api.request("POST", "/api/auth/login").header("x-forwarded-for", format!("198.51.100.{number}"));
        request.json(&json!({ "email": "ada@example.com", "password": PASSWORD }))
    };
    for number in 0..6 {
        assert_eq!(answer(log_in(number)).await.0, 401);
    }
    assert_eq!(answer(log_in(7)).await.0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_on_their_own_listener_alone() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    api.get("/api/videos").await;
    assert_eq!(api.get("/metrics").await.0, 404);
    let text = api.http.get(format!("http://{}/metrics", backend.metrics)).send().await.unwrap().text().await.unwrap();
    let counted = r#"http_requests_total{method="GET",route="/api/videos",status="401"}"#;
    assert!(text.contains(counted), "{text}");
    assert!(text.contains("http_request_duration_seconds_bucket") && text.contains("database_connections"), "{text}");
    assert!(text.contains("outbox_events"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_needs_no_other_server() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    let get = async |path: &str| {
        let response = api.request("GET", path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    };
    let html = get("/docs/").await;
    assert!(html.contains("swagger-ui"), "{html}");
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http") && !html.contains("//cdn"), "{html}");
    assert!(get("/docs/swagger-initializer.js").await.contains("/openapi.json"));
    let (_, openapi) = api.get("/openapi.json").await;
    assert!(openapi["paths"]["/api/videos/{id}"]["patch"]["responses"]["403"].is_object());
}

/// Holds the videos' table, so that whoever reads it waits.
async fn hold_videos(url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("begin; lock table videos in access exclusive mode").execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_ended() {
    let url = database().await;
    let mut config = config(&url, &nowhere());
    config.request_timeout = Duration::from_millis(700);
    let backend = Backend::start(config).await;
    let api = backend.api().as_new_user("ada").await;
    let held = hold_videos(&url).await;
    let (status, problem) = api.get("/api/videos").await;
    assert_eq!(status, 503, "{problem}");
    held.close().await.unwrap();
    assert_eq!(api.get("/api/videos").await.0, 200, "the next one is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_finishes_requests_in_flight_and_takes_no_new_ones() {
    let url = database().await;
    let backend = Backend::start(config(&url, &nowhere())).await;
    let api = backend.api().as_new_user("ada").await;
    let mut held = hold_videos(&url).await;
    let in_flight = tokio::spawn({
        let api = api.clone();
        async move { api.get("/api/videos").await }
    });
    // Until the request waits for the lock.
    let waiting = "select count(*) from pg_locks where not granted";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut held).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stopped = backend.stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!stopped.is_finished() && !in_flight.is_finished());
    assert!(reqwest::Client::new().get(format!("http://{}/health/live", api.address)).send().await.is_err());
    held.close().await.unwrap();
    assert_eq!(in_flight.await.unwrap().0, 200);
    tokio::time::timeout(Duration::from_secs(20), stopped).await.unwrap().unwrap().unwrap();
}

//! Registration, login, tokens.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use streamify_backend::Config;

use crate::support::api::{Api, PASSWORD, answer};
use crate::support::backend::{Backend, config, key, nowhere};
use crate::support::postgres::database;

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn refresh(api: &Api, token: &Value) -> (reqwest::StatusCode, Value) {
    api.post("/api/auth/refresh", &json!({ "refresh_token": token })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_registers_logs_in_and_is_known() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    let account = json!({ "email": "Ada@Example.com", "password": PASSWORD, "name": " Ada " });
    let (status, user) = api.post("/api/auth/register", &account).await;
    assert_eq!(status, 201, "{user}");
    assert_eq!((&user["email"], &user["name"]), (&json!("ada@example.com"), &json!("Ada")));
    assert!(user.get("password_hash").is_none() && user.get("password").is_none());

    let (status, taken) = api.post("/api/auth/register", &account).await;
    assert_eq!((status.as_u16(), &taken["errors"][0]["code"]), (409, &json!("taken")));

    let (status, pair) = api.log_in("ADA@example.com", PASSWORD).await;
    assert_eq!(status, 200);
    assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("Bearer"), &json!(900)));
    let (status, me) = api.with_token(&text(&pair["access_token"])).get("/api/users/me").await;
    assert_eq!((status.as_u16(), me), (200, user));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_of_a_registration_is_named() {
    let backend = Backend::without_kafka().await;
    let account = json!({ "email": "nobody", "password": "short", "name": " " });
    let (status, problem) = backend.api().post("/api/auth/register", &account).await;
    assert_eq!(status, 422);
    let mut fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| text(&error["field"])).collect();
    fields.sort();
    assert_eq!(fields, ["email", "name", "password"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_address_are_told_apart_neither_by_words_nor_by_time() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    api.as_new_user("ada").await;
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..5 {
        for (index, email) in ["ada@example.com", "nobody@example.com"].into_iter().enumerate() {
            let began = Instant::now();
            let (status, problem) = api.log_in(email, "not the password").await;
            fastest[index] = fastest[index].min(began.elapsed());
            assert_eq!(
                (status.as_u16(), &problem["detail"]),
                (401, &json!("The email address or the password is wrong"))
            );
        }
    }
    // Without the work of hashing it would be a hundred times quicker.
    assert!(fastest[1] * 2 > fastest[0] && fastest[0] * 2 > fastest[1], "{fastest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_works_once_and_a_second_use_ends_its_login_alone() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    api.as_new_user("ada").await;
    let (_, first) = api.log_in("ada@example.com", PASSWORD).await;
    let (_, elsewhere) = api.log_in("ada@example.com", PASSWORD).await;

    let (status, second) = refresh(&api, &first["refresh_token"]).await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let (status, _) = api.with_token(&text(&second["access_token"])).get("/api/users/me").await;
    assert_eq!(status, 200);

    assert_eq!(refresh(&api, &first["refresh_token"]).await.0, 401, "used before");
    assert_eq!(refresh(&api, &second["refresh_token"]).await.0, 401, "of the family that was ended");
    assert_eq!(refresh(&api, &elsewhere["refresh_token"]).await.0, 200, "another login goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refreshes_at_once_one_wins() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    api.as_new_user("ada").await;
    for _ in 0..10 {
        let (_, pair) = api.log_in("ada@example.com", PASSWORD).await;
        let token = &pair["refresh_token"];
        let (one, two) = tokio::join!(refresh(&api, token), refresh(&api, token));
        let mut statuses = [one.0.as_u16(), two.0.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_login() {
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    api.as_new_user("ada").await;
    let (_, pair) = api.log_in("ada@example.com", PASSWORD).await;
    let body = json!({ "refresh_token": pair["refresh_token"] });
    assert_eq!(api.post("/api/auth/logout", &body).await, (reqwest::StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(refresh(&api, &pair["refresh_token"]).await.0, 401);
    assert_eq!(api.post("/api/auth/logout", &body).await.0, 204, "again is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_expire() {
    let mut config = config(&database().await, &nowhere());
    config.jwt.access_token = Duration::from_secs(1);
    config.jwt.refresh_token = Duration::from_secs(1);
    let backend = Backend::start(config).await;
    let api = backend.api().as_new_user("ada").await;
    let (_, pair) = api.log_in("ada@example.com", PASSWORD).await;
    assert_eq!(api.get("/api/users/me").await.0, 200);
    // The second that it is good for, and the leeway for clocks that differ.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(api.get("/api/users/me").await.0, 401);
    assert_eq!(refresh(&api, &pair["refresh_token"]).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_others_are_refused() {
    let url = database().await;
    let backend = Backend::start(config(&url, &nowhere())).await;
    let api = backend.api().as_new_user("ada").await;
    let token = api.token.clone().unwrap();
    let mut parts = token.split('.');
    let (header, claims, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = encode(&json!({ "alg": "none", "typ": "JWT", "kid": "test" }));
    let mut other: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    other["sub"] = json!(uuid::Uuid::now_v7());
    let mut forged = vec![
        format!("{unsigned}.{claims}."),
        format!("{unsigned}.{claims}.{signature}"),
        format!("{header}.{}.{signature}", encode(&other)),
        String::from("nonsense"),
    ];
    // Of real servers on the same database that differ in one thing.
    let changes: [fn(&mut Config); 4] = [
        |config| config.jwt.issuer = "another".into(),
        |config| config.jwt.audience = "another".into(),
        |config| config.jwt.keys = vec![key("unknown", 't')],
        |config| config.jwt.keys = vec![key("test", 'x')],
    ];
    for change in changes {
        let mut config = config(&url, &nowhere());
        change(&mut config);
        let stranger = Backend::start(config).await;
        let (_, pair) = stranger.api().log_in("ada@example.com", PASSWORD).await;
        let theirs = text(&pair["access_token"]);
        assert_eq!(stranger.api().with_token(&theirs).get("/api/users/me").await.0, 200, "good where it is from");
        forged.push(theirs);
    }
    for token in forged {
        let response = api.with_token(&token).request("GET", "/api/users/me").send().await.unwrap();
        assert_eq!(response.status(), 401, "{token}");
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    }
    assert_eq!(api.get("/api/users/me").await.0, 200, "its own is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_takes_over_without_logging_anybody_out() {
    let url = database().await;
    let with_keys = async |keys| {
        let mut config = config(&url, &nowhere());
        config.jwt.keys = keys;
        Backend::start(config).await
    };
    let before = with_keys(vec![key("old", 'o')]).await;
    let during = with_keys(vec![key("new", 'n'), key("old", 'o')]).await;
    let after = with_keys(vec![key("new", 'n')]).await;
    let old = before.api().as_new_user("ada").await;
    let (_, pair) = during.api().log_in("ada@example.com", PASSWORD).await;
    let new = during.api().with_token(&text(&pair["access_token"]));
    let me = async |api: &Api, backend: &Backend| api.at(&backend.address).get("/api/users/me").await.0.as_u16();
    assert_eq!([me(&old, &during).await, me(&old, &after).await], [200, 401]);
    assert_eq!([me(&new, &during).await, me(&new, &after).await, me(&new, &before).await], [200, 200, 401]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_is_not_public_asks_for_a_token() {
    const PUBLIC: [&str; 9] = [
        "post /api/auth/register",
        "post /api/auth/login",
        "post /api/auth/refresh",
        "post /api/auth/logout",
        "get /health/live",
        "get /health/ready",
        "get /health/started",
        "get /openapi.json",
        // Takes its token in the first message.
        "get /ws",
    ];
    let backend = Backend::without_kafka().await;
    let api = backend.api();
    let (status, openapi) = api.get("/openapi.json").await;
    assert_eq!(status, 200);
    assert!(text(&openapi["openapi"]).starts_with("3.1"));
    let mut guarded = 0;
    for (path, operations) in openapi["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let route = format!("{method} {path}");
            let concrete = path.replace("{id}", &uuid::Uuid::now_v7().to_string());
            for (what, api) in [("no token", api.clone()), ("a bad token", api.with_token("bad"))] {
                let status = api.request(&method.to_uppercase(), &concrete).send().await.unwrap().status();
                assert_eq!(status == 401, !PUBLIC.contains(&route.as_str()), "{route} with {what}: {status}");
            }
            guarded += usize::from(!PUBLIC.contains(&route.as_str()));
        }
    }
    assert_eq!(guarded, 6, "me, and the videos' list, create, find, change and delete");
    // Another scheme is no token either.
    let basic = api.http.get(format!("http://{}/api/videos", api.address)).basic_auth("ada", Some(PASSWORD));
    assert_eq!(answer(basic).await.0, 401);
}

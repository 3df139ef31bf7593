//! The app as its clients see it, on a whole stack: HTTP, Kafka and the WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::stack::Project;

/// The routes that need no token; the API's description has all the others.
const PUBLIC: [(&str, &str); 8] = [
    ("post", "/api/auth/register"),
    ("post", "/api/auth/login"),
    ("post", "/api/auth/refresh"),
    ("post", "/api/auth/logout"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/openapi.json"),
    // Takes its token in the first message.
    ("get", "/ws"),
];

/// A user of a stack.
struct User {
    client: Client,
    api: String,
    token: String,
    refresh_token: String,
}

impl User {
    async fn new(project: &Project, email: &str) -> Self {
        let api = project.entry("backend")["address"].as_str().unwrap().to_owned();
        let client = Client::new();
        let credentials = json!({ "email": email, "password": "long enough" });
        let mut registration = credentials.clone();
        registration["name"] = "Ada".into();
        let registered = client.post(format!("{api}/api/auth/register")).json(&registration).send().await.unwrap();
        assert_eq!(registered.status(), StatusCode::CREATED);
        let pair: Value =
            client.post(format!("{api}/api/auth/login")).json(&credentials).send().await.unwrap().json().await.unwrap();
        let text = |name: &str| pair[name].as_str().unwrap().to_owned();
        Self { client, api, token: text("access_token"), refresh_token: text("refresh_token") }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}{path}", self.api)).bearer_auth(&self.token);
        let response = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        (response.status(), response.json().await.unwrap_or(Value::Null))
    }

    async fn add(&self, title: &str) -> String {
        let body = json!({ "title": title, "url": "https://example.com/a.mp4" });
        let (status, video) = self.call(Method::POST, "/api/videos", body).await;
        assert_eq!(status, StatusCode::CREATED, "{video}");
        video["id"].as_str().unwrap().to_owned()
    }

    /// Follows the events after one; the second value is what comes until `until` of them have.
    async fn follow(&self, last: Option<&str>, until: usize, meanwhile: impl AsyncFnOnce()) -> Vec<Value> {
        let url = format!("{}/ws", self.api.replace("http://", "ws://"));
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let auth = json!({ "type": "auth", "token": self.token, "last_event_id": last });
        socket.send(Message::text(auth.to_string())).await.unwrap();
        let mut frames = async || loop {
            let frame = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("a frame in time");
            if let Message::Text(text) = frame.unwrap().unwrap() {
                return serde_json::from_str::<Value>(&text).unwrap();
            }
        };
        assert_eq!(frames().await["type"], "ready");
        meanwhile().await;
        let mut events: Vec<Value> = Vec::new();
        while events.len() < until {
            let frame = frames().await;
            // An event may come twice, with the same id.
            if !events.iter().any(|known| known["id"] == frame["id"]) {
                events.push(frame);
            }
        }
        events
    }
}

fn titles(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"]["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_route_that_is_not_public_wants_a_token() {
    let project = Project::whole();
    let user = User::new(&project, "walk@example.com").await;
    let (_, description) = user.call(Method::GET, "/openapi.json", Value::Null).await;
    let mut walked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let address = format!("{}{}", user.api, path.replace("{id}", "01a20c4d-3bde-7312-a494-f2ddbe77ddd0"));
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let response = user.client.request(verb, address).send().await.unwrap();
            let is_public = PUBLIC.contains(&(method.as_str(), path.as_str()));
            assert_eq!(response.status() == StatusCode::UNAUTHORIZED, !is_public, "{method} {path}");
            walked += 1;
        }
    }
    assert!(walked >= 12, "only {walked} routes");

    // Errors are problem documents, with the fields that are wrong.
    let (status, problem) = user.call(Method::POST, "/api/videos", json!({ "title": " ", "url": "x" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["title", "url"]);

    // Only the owner changes a video; pages follow each other, newest first; a search means its letters.
    let other = User::new(&project, "other@example.com").await;
    for title in ["one", "two", "50% off", "four"] {
        user.add(title).await;
    }
    let (_, first) = user.call(Method::GET, "/api/videos?limit=3", Value::Null).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = user.call(Method::GET, &format!("/api/videos?limit=3&cursor={cursor}"), Value::Null).await;
    assert_eq!((&first["items"][0]["title"], &second["items"][0]["title"]), (&"four".into(), &"one".into()));
    assert_eq!(second["next_cursor"], Value::Null);
    let (_, found) = user.call(Method::GET, "/api/videos?q=0%25%20O", Value::Null).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let path = format!("/api/videos/{}", first["items"][0]["id"].as_str().unwrap());
    assert_eq!(other.call(Method::DELETE, &path, Value::Null).await.0, StatusCode::FORBIDDEN);
    assert_eq!(user.call(Method::DELETE, &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(user.call(Method::GET, &path, Value::Null).await.0, StatusCode::NOT_FOUND);

    // A refresh token is good for one use; using it again ends its family.
    let refresh = async |token: &str| {
        let (status, pair) = user.call(Method::POST, "/api/auth/refresh", json!({ "refresh_token": token })).await;
        (status, pair["refresh_token"].as_str().unwrap_or_default().to_owned())
    };
    let (status, next) = refresh(&user.refresh_token).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(refresh(&user.refresh_token).await.0, StatusCode::UNAUTHORIZED, "used twice");
    assert_eq!(refresh(&next).await.0, StatusCode::UNAUTHORIZED, "its family has ended");
}

#[tokio::test]
async fn no_event_is_lost_whatever_is_killed() {
    let project = Project::whole();
    let user = User::new(&project, "kill@example.com").await;
    let seen = user.follow(None, 1, async || drop(user.add("first").await)).await;
    assert_eq!(titles(&seen), ["first"]);
    let last = seen[0]["id"].as_str().unwrap().to_owned();

    // While nobody follows, each of the three is killed in turn; every video that was answered with 201 is told of.
    let mut added = Vec::new();
    for service in ["kafka", "backend", "postgres"] {
        added.push(format!("before {service}"));
        user.add(&format!("before {service}")).await;
        project.kill(service);
        let body = json!({ "title": format!("after {service}"), "url": "https://example.com/a.mp4" });
        // Tried until it is answered with 201; what was not answered may or may not be there.
        let begun = std::time::Instant::now();
        loop {
            let request = user.client.post(format!("{}/api/videos", user.api)).bearer_auth(&user.token).json(&body);
            if request.send().await.is_ok_and(|response| response.status() == StatusCode::CREATED) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{service} did not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        added.push(format!("after {service}"));
    }
    project.ok(&["up", "--detach"]);
    let events = user.follow(Some(&last), added.len(), async || ()).await;
    let mut told = titles(&events);
    told.sort_unstable();
    added.sort_unstable();
    assert_eq!(told, added);
}

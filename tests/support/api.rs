//! A client of the HTTP API.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// Talks to one backend, for one user once there is a token.
#[derive(Clone)]
pub struct Api {
    pub http: Client,
    pub address: String,
    pub token: Option<String>,
}

/// A status and a JSON body (null where there is none).
pub type Answer = (StatusCode, Value);

pub const PASSWORD: &str = "correct horse battery";

impl Api {
    pub fn new(address: &str) -> Self {
        // The backend gives a request up long before: what takes longer is a defect, and must not look like a test that never ends.
        let http = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, address: address.to_owned(), token: None }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same user at another backend.
    pub fn at(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request("POST", path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        answer(self.request("PATCH", path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request("DELETE", path)).await
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post("/api/auth/login", &json!({ "email": email, "password": password })).await
    }

    /// Registers somebody and logs in.
    pub async fn as_new_user(&self, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let account = json!({ "email": email, "password": PASSWORD, "name": name });
        let (status, body) = self.post("/api/auth/register", &account).await;
        assert_eq!(status, 201, "{body}");
        let (status, pair) = self.log_in(&email, PASSWORD).await;
        assert_eq!(status, 200, "{pair}");
        self.with_token(pair["access_token"].as_str().unwrap())
    }

    /// Adds a video that must be accepted; gives its id.
    pub async fn add_video(&self, title: &str) -> String {
        let (status, video) = self.post("/api/videos", &video(title)).await;
        assert_eq!(status, 201, "{video}");
        video["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the backend says that it is ready.
    pub async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let last = match self.request("GET", "/health/ready").send().await {
                Ok(response) if response.status() == 200 => return,
                Ok(response) => response.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            assert!(Instant::now() < deadline, "never ready: {last}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
}

/// What is sent to add a video.
pub fn video(title: &str) -> Value {
    json!({ "title": title, "description": "of a test", "url": "https://example.com/a.mp4" })
}

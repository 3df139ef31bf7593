//! A real registry that lets nobody in without a token, and a token server that signs them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tempfile::TempDir;

use super::support::{PASSWORD, Project, Registry, SHOP_IN_GZIP, openssl, text};
use crate::support::process::folder;

/// Whom the registry trusts.
struct Issuer {
    folder: TempDir,
    /// What was asked for, and whether by somebody who logged in.
    asked: Mutex<Vec<(String, bool)>>,
}

impl Issuer {
    fn new() -> Self {
        let folder = folder();
        let words = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=tests";
        openssl(folder.path(), &words.split(' ').collect::<Vec<_>>(), b"");
        Self { folder, asked: Mutex::default() }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// A JSON web token as the registry wants it, with the certificate in its head.
    fn sign(&self, access: &serde_json::Value) -> String {
        let certificate = openssl(self.folder.path(), &["x509", "-in", "cert.pem", "-outform", "DER"], b"");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let head = json!({ "typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(certificate)] });
        let body = json!({
            "iss": "tests", "sub": "me", "aud": "registry", "exp": now + 300, "nbf": now - 10, "iat": now,
            "jti": "1", "access": access,
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&body));
        let words = ["dgst", "-sha256", "-sign", "key.pem"];
        let signature = openssl(self.folder.path(), &words, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn token(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let login = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let right = format!("Basic {}", STANDARD.encode(format!("me:{PASSWORD}")));
    if login.as_ref().is_some_and(|login| *login != right) {
        let errors = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "incorrect username or password" }] });
        return (StatusCode::UNAUTHORIZED, Json(errors)).into_response();
    }
    let query = query.unwrap_or_default().replace("%3A", ":").replace("%2C", ",").replace("%2F", "/");
    let mut access = Vec::new();
    for scope in query.split('&').filter_map(|pair| pair.strip_prefix("scope=")) {
        issuer.asked.lock().unwrap().push((scope.to_owned(), login.is_some()));
        let mut parts = scope.splitn(3, ':').skip(1);
        let (name, actions) = (parts.next().unwrap(), parts.next().unwrap());
        // Without a login everybody may pull.
        let allowed: Vec<&str> = actions.split(',').filter(|action| login.is_some() || *action == "pull").collect();
        access.push(json!({ "type": "repository", "name": name, "actions": allowed }));
    }
    Json(json!({ "token": issuer.sign(&access.into()), "expires_in": 300 })).into_response()
}

fn start() -> (Registry, Arc<Issuer>) {
    let issuer = Arc::new(Issuer::new());
    let router = Router::new().route("/token", routing::get(token)).with_state(Arc::clone(&issuer));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    });
    let registry = Registry::with(&format!(
        "auth: {{token: {{realm: 'http://{address}/token', service: registry, issuer: tests, rootcertbundle: '{}'}}}}\n",
        issuer.certificate().display()
    ));
    (registry, issuer)
}

#[test]
fn tokens_are_asked_for_what_is_done_and_no_more() {
    let (registry, issuer) = start();
    let project = Project::new(SHOP_IN_GZIP);
    let words = ["push", "shop", "--registry", &registry.host];
    // Who has no login gets a token that does not let them push.
    let said = project.fails(1, &words);
    assert!(said.contains("wants a login, and there is none"), "{said}");
    project.log_in(&registry.host, "wrong-password-x");
    let said = project.fails(1, &words);
    assert!(said.contains("refuses the login") && said.contains("incorrect username"), "{said}");
    assert!(!said.contains("wrong-password-x"), "{said}");

    project.log_in(&registry.host, PASSWORD);
    issuer.asked.lock().unwrap().clear();
    let image = text(&project.push(&registry.host)["image"]);
    let asked = std::mem::take(&mut *issuer.asked.lock().unwrap());
    assert_eq!(asked, [("repository:cinema/shop:pull,push".to_owned(), true)], "one token for the whole push");

    // A mount asks to read the other repository as well.
    let other = [&words[..], &["--repository", "cinema/other"]].concat();
    assert_eq!(project.ok(&other)[0]["blobs"]["mounted"], 5);
    let asked = std::mem::take(&mut *issuer.asked.lock().unwrap());
    let scopes: Vec<&str> = asked.iter().map(|(scope, _)| scope.as_str()).collect();
    let own = "repository:cinema/other:pull,push";
    assert_eq!(scopes, [own, own, "repository:cinema/shop:pull"], "one token for the push, one for all mounts");

    // Reading needs no login here.
    std::fs::remove_dir_all(project.path().join("docker")).unwrap();
    project.ok(&["inspect", &image]);
    let asked = std::mem::take(&mut *issuer.asked.lock().unwrap());
    assert_eq!(asked, [("repository:cinema/shop:pull".to_owned(), false)]);
}

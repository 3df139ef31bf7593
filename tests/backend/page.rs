//! The page's server, with whatever page this binary has.

use reqwest::Client;
use streamify_backend::{PageConfig, serve_page};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

async fn page(api_base: &str) -> (String, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    tokio::spawn(serve_page(PageConfig { api_base: api_base.into() }, listener, shutdown.clone()));
    (base, shutdown)
}

#[tokio::test(flavor = "multi_thread")]
async fn navigation_gets_the_app_and_nothing_else_does() {
    let (base, shutdown) = page("http://localhost:3001").await;
    let client = Client::new();
    let navigate = |path: &str| client.get(format!("{base}{path}")).header("accept", "text/html,*/*;q=0.8");
    for path in ["/", "/videos/0190f5fe-7c00-7a00-8000-000000000000"] {
        let response = navigate(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with("text/html"));
        let policy = header("content-security-policy");
        assert!(policy.contains("connect-src 'self' http://localhost:3001 ws://localhost:3001;"), "{policy}");
        let scripts = policy.split(';').find(|part| part.contains("script-src")).unwrap();
        assert!(!scripts.contains("unsafe"), "{scripts}");
        assert!(response.text().await.unwrap().contains("<html"));
    }
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(navigate("/missing.png")).await, 404);
    assert_eq!(status(client.get(format!("{base}/videos/1")).header("accept", "application/json")).await, 404);
    assert_eq!(status(navigate("/../../Cargo.toml")).await, 404);
    assert_eq!(status(client.post(format!("{base}/"))).await, 405);
    assert_eq!(status(client.get(format!("{base}/health/live"))).await, 200);

    let head = client.head(format!("{base}/")).header("accept", "text/html").send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.bytes().await.unwrap().is_empty());

    let config: serde_json::Value =
        client.get(format!("{base}/config.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(config, serde_json::json!({ "api_base": "http://localhost:3001" }));

    shutdown.cancel();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(Client::new().get(format!("{base}/health/live")).send().await.is_err(), "it has stopped");
}

//! Adding, finding, changing and deleting videos.

use serde_json::{Value, json};

use crate::support::api::{Api, video};
use crate::support::backend::Backend;

async fn ada() -> (Backend, Api) {
    let backend = Backend::without_kafka().await;
    let api = backend.api().as_new_user("ada").await;
    (backend, api)
}

fn titles(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|video| video["title"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_added_and_found() {
    let (_backend, api) = ada().await;
    let (_, me) = api.get("/api/users/me").await;
    let response = api.request("POST", "/api/videos").json(&video("  The sea ")).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let added: Value = response.json().await.unwrap();
    assert_eq!(location, format!("/api/videos/{}", added["id"].as_str().unwrap()));
    let id: uuid::Uuid = added["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(added["title"], "The sea");
    assert_eq!(added["owner"], json!({ "id": me["id"], "name": "ada" }));
    let instant = added["created_at"].as_str().unwrap();
    time::OffsetDateTime::parse(instant, &time::format_description::well_known::Rfc3339).unwrap();
    let (status, found) = api.get(&location).await;
    assert_eq!((status.as_u16(), found), (200, added));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_newest_first_and_hold_each_video_once_whatever_is_added_meanwhile() {
    let (_backend, api) = ada().await;
    for number in 0..25 {
        api.add_video(&format!("video {number}")).await;
    }
    let mut seen = Vec::new();
    let mut path = String::from("/api/videos?limit=10");
    let mut pages = Vec::new();
    loop {
        let (status, page) = api.get(&path).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(titles(&page).into_iter().map(str::to_owned));
        pages.push(titles(&page).len());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/videos?limit=10&cursor={cursor}");
        api.add_video("added meanwhile").await;
    }
    assert_eq!(pages, [10, 10, 5]);
    let expected: Vec<_> = (0..25).rev().map(|number| format!("video {number}")).collect();
    assert_eq!(seen, expected);
    let (_, page) = api.get("/api/videos").await;
    assert_eq!(titles(&page).len(), 20, "where no limit is given");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_means_its_letters_and_nothing_else() {
    let (_backend, api) = ada().await;
    for title in ["100% wool", "100 wool", "a_b", "axb", r"back\slash", "Die SONNE"] {
        api.add_video(title).await;
    }
    let search = async |q: &str| {
        let url = reqwest::Url::parse_with_params("http://any/api/videos", &[("q", q)]).unwrap();
        let (status, page) = api.get(&format!("{}?{}", url.path(), url.query().unwrap())).await;
        assert_eq!(status, 200, "{page}");
        titles(&page).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(search("0%").await, ["100% wool"]);
    assert_eq!(search("a_b").await, ["a_b"]);
    assert_eq!(search(r"\").await, [r"back\slash"]);
    assert_eq!(search("sonne").await, ["Die SONNE"]);
    assert_eq!(search("WOOL").await, ["100 wool", "100% wool"]);
    assert!(search("' or 1=1 --").await.is_empty());
    assert_eq!(search("  ").await.len(), 6, "nothing is searched for");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_changes_and_deletes() {
    let (backend, ada) = ada().await;
    let eve = backend.api().as_new_user("eve").await;
    let path = format!("/api/videos/{}", ada.add_video("Mine").await);
    let change = json!({ "title": "Changed" });
    assert_eq!(eve.patch(&path, &change).await.0, 403);
    assert_eq!(eve.delete(&path).await.0, 403);
    assert_eq!(eve.get(&path).await.1["title"], "Mine");

    let (status, changed) = ada.patch(&path, &change).await;
    assert_eq!(
        (status.as_u16(), &changed["title"], &changed["description"]),
        (200, &json!("Changed"), &json!("of a test"))
    );
    assert_ne!(changed["updated_at"], changed["created_at"]);
    assert_eq!(ada.delete(&path).await, (reqwest::StatusCode::NO_CONTENT, Value::Null));
    for (status, problem) in [ada.get(&path).await, ada.patch(&path, &change).await, ada.delete(&path).await] {
        assert_eq!((status.as_u16(), &problem["status"]), (404, &json!(404)));
    }
    assert_eq!(ada.get("/api/videos/not-an-id").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_is_named() {
    let (_backend, api) = ada().await;
    let path = format!("/api/videos/{}", api.add_video("Good").await);
    let named = |(status, problem): (reqwest::StatusCode, Value)| {
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{problem}"));
        let errors = errors
            .iter()
            .map(|error| format!("{}: {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap()));
        let mut errors: Vec<_> = errors.collect();
        errors.sort();
        (status.as_u16(), errors.join(", "))
    };
    let wrong = json!({ "title": "", "description": "x".repeat(5_001), "url": "javascript:alert(1)" });
    let expected = (422, "description: too_long, title: required, url: invalid".to_owned());
    assert_eq!(named(api.post("/api/videos", &wrong).await), expected);
    assert_eq!(named(api.patch(&path, &wrong).await), expected);
    let cases = [
        (json!({ "url": "https://a.b/c" }), "title: required"),
        (json!({ "title": 5, "url": "https://a.b/c" }), "title: invalid"),
        (json!({ "title": "a\u{0}b", "url": "https://a.b/c" }), "title: invalid"),
        (json!({ "title": "a", "url": "https://a.b/c", "owner": "eve" }), "owner: unknown"),
        (json!({ "title": "a".repeat(201), "url": "https://a.b/c" }), "title: too_long"),
    ];
    for (body, expected) in cases {
        assert_eq!(named(api.post("/api/videos", &body).await), (422, expected.to_owned()));
    }
    assert_eq!(named(api.get("/api/videos?limit=0").await), (400, "limit: invalid".to_owned()));
    assert_eq!(named(api.get("/api/videos?limit=101").await), (400, "limit: invalid".to_owned()));
    assert_eq!(named(api.get("/api/videos?limit=many").await), (400, "limit: invalid".to_owned()));
    assert_eq!(named(api.get("/api/videos?cursor=made-up").await), (400, "cursor: invalid".to_owned()));
}

//! Uploads that go on where they broke.
//!
//! Debian's registry gives up an upload whose connection broke, so this is tried against one that keeps what came, as
//! the distribution specification 1.1 has it ("Pushing a blob in chunks"). It keeps uploads and blobs, nothing more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::support::{Fault, Project, Proxy, SHOP};

#[derive(Default)]
struct Store {
    /// Uploads that were ever begun: each has a place of its own.
    begun: usize,
    uploads: HashMap<String, Vec<u8>>,
    /// Under their paths: blobs, and manifests with their digests.
    kept: HashMap<String, Vec<u8>>,
    /// Where each part of an upload began.
    starts: Vec<u64>,
}

type Shared = Arc<Mutex<Store>>;

/// Starts it for as long as the tests run.
fn start() -> (String, Shared) {
    let store = Shared::default();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&store));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    (host, store)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn answer(State(store): State<Shared>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().replace("%3A", ":");
    let (parts, body) = request.into_parts();
    let at =
        |length: usize| [(header::LOCATION, path.clone()), (header::RANGE, format!("0-{}", length.saturating_sub(1)))];
    match (method, path.contains("/uploads/")) {
        (Method::POST, true) => {
            let mut store = store.lock().unwrap();
            store.begun += 1;
            let location = format!("{path}{}", store.begun);
            store.uploads.insert(location.clone(), Vec::new());
            (StatusCode::ACCEPTED, [(header::LOCATION, location)]).into_response()
        }
        (Method::GET, true) => match store.lock().unwrap().uploads.get(&path) {
            Some(upload) => (StatusCode::NO_CONTENT, at(upload.len())).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        (Method::PATCH, true) => {
            let range = parts.headers[header::CONTENT_RANGE].to_str().unwrap();
            let start: u64 = range.split('-').next().unwrap().parse().unwrap();
            if store.lock().unwrap().uploads[&path].len() as u64 != start {
                return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            }
            store.lock().unwrap().starts.push(start);
            let mut stream = body.into_data_stream();
            // What came before the connection broke stays.
            while let Some(Ok(part)) = stream.next().await {
                store.lock().unwrap().uploads.get_mut(&path).unwrap().extend_from_slice(&part);
            }
            let length = store.lock().unwrap().uploads[&path].len();
            (StatusCode::ACCEPTED, at(length)).into_response()
        }
        (Method::PUT, true) => {
            let mut store = store.lock().unwrap();
            let upload = store.uploads.remove(&path).unwrap();
            let wanted = query.trim_start_matches("digest=");
            if digest(&upload) != wanted {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let base = path.split("/uploads/").next().unwrap();
            store.kept.insert(format!("{base}/{wanted}"), upload);
            StatusCode::CREATED.into_response()
        }
        (Method::PUT, false) => {
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            store.lock().unwrap().kept.insert(path, bytes.to_vec());
            // It keeps lists of referrers, it says.
            (StatusCode::CREATED, [("oci-subject", "yes")]).into_response()
        }
        _ => match store.lock().unwrap().kept.get(&path) {
            Some(bytes) => {
                let content = Body::from(Bytes::copy_from_slice(bytes));
                ([("docker-content-digest", digest(bytes))], content).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

#[test]
fn an_upload_goes_on_where_it_broke() {
    let (host, store) = start();
    let proxy = Proxy::to(&host);
    let project = Project::new(SHOP);
    project.change(9, 8 << 20);
    // Only the layer is as long as that.
    proxy.fail("PATCH", Fault::CutAfter(3 << 20));
    let pushed = project.push(&proxy.host);
    assert!(proxy.is_out_of_faults());
    let starts: Vec<u64> = store.lock().unwrap().starts.clone();
    let resumed: Vec<&u64> = starts.iter().filter(|start| **start > 0).collect();
    assert_eq!(resumed.len(), 1, "{starts:?}");
    assert!(*resumed[0] <= 3 << 20, "{starts:?}");
    // Whole, and under its own digest: the registry checks that.
    assert_eq!(pushed["blobs"]["uploaded"], 5);
    assert_eq!(project.push(&proxy.host)["unchanged"], true);
}

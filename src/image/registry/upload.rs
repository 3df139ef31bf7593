//! Bringing one blob into a repository: found there, mounted from another one, or sent.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::header::{self, HeaderMap};
use reqwest::{Body, Method, Response, StatusCode, Url};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::{CALL, Registry, STALLED, Scope, TRIES, Trouble, is_passing, pause};
use crate::failure::{Failure, OrFail, Result};
use crate::image::oci::Descriptor;
use crate::report::{Event, Report, Unit};

/// Bytes that are read from the disk at once.
const READ: usize = 256 << 10;

/// How a blob came to be in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum Upload {
    Present,
    Mounted,
    Sent,
}

/// How much of all blobs has gone out.
pub(in crate::image) struct Meter {
    name: String,
    report: Arc<dyn Report>,
    total: u64,
    done: AtomicU64,
    /// What went over the wire, what was sent twice counted twice.
    sent: AtomicU64,
    told: Mutex<Instant>,
}

impl Meter {
    pub fn new(name: &str, total: u64, report: &Arc<dyn Report>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            report: Arc::clone(report),
            total,
            done: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        })
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// These bytes need not go out.
    pub fn skip(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        self.tell();
    }

    fn send(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.skip(bytes);
    }

    /// These bytes have to go out again.
    fn take_back(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A few times a second is enough for the eye, and for a log of JSON lines.
    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() > Duration::from_millis(100) {
            *told = Instant::now();
            let (name, done) = (self.name.clone(), self.done.load(Ordering::Relaxed));
            self.report.event(Event::Advanced { name, done, total: Some(self.total), unit: Unit::Bytes });
        }
    }
}

impl Registry {
    /// Brings a blob into the scope's repository. `from` is a repository of this registry that may have it.
    ///
    /// # Errors
    /// The registry refuses it, or can't be reached, after three tries.
    pub(in crate::image) async fn upload(
        &self,
        scope: &Scope,
        blob: &Descriptor,
        path: &Path,
        from: Option<&str>,
        meter: &Arc<Meter>,
    ) -> Result<Upload> {
        if self.has_blob(scope, &blob.digest).await? {
            meter.skip(blob.size);
            return Ok(Upload::Present);
        }
        let Some(mut location) = self.begin(scope, blob, from).await? else {
            meter.skip(blob.size);
            return Ok(Upload::Mounted);
        };
        let cargo = Cargo { blob, path, position: Arc::default(), meter };
        let mut tries = 0;
        loop {
            tries += 1;
            let (why, headers) = match self.attempt(scope, &cargo, location.clone()).await {
                Ok(()) => return Ok(Upload::Sent),
                Err(Attempt::Failed(failure)) => return Err(failure),
                Err(Attempt::Broken { why, headers }) => (why, headers),
            };
            if tries >= TRIES {
                return Err(why.cause(format!("{TRIES} tries")));
            }
            tokio::time::sleep(pause(tries, &headers)).await;
            // The answer alone may have been lost.
            if self.has_blob(scope, &blob.digest).await? {
                return Ok(Upload::Sent);
            }
            let offset = match self.arrived(scope, &location, blob.size).await {
                Some((new, offset)) => {
                    location = new;
                    offset
                }
                None => match self.begin(scope, blob, None).await? {
                    Some(new) => {
                        location = new;
                        0
                    }
                    None => return Ok(Upload::Mounted),
                },
            };
            cargo.go_back(offset);
        }
    }

    /// Asks for an upload. None: the blob was mounted, and there is nothing to send.
    async fn begin(&self, scope: &Scope, blob: &Descriptor, from: Option<&str>) -> Result<Option<Url>> {
        let mut url = self.url(&scope.repository, "blobs/uploads/");
        let plain = url.clone();
        let wider = Scope { from: from.map(str::to_owned), ..scope.clone() };
        if let Some(from) = from {
            url.query_pairs_mut().append_pair("mount", &blob.digest.to_string()).append_pair("from", from);
        }
        let mut response = self.post(if from.is_some() { &wider } else { scope }, url).await;
        // The other repository may be closed to this login, or be gone.
        if from.is_some() && !response.as_ref().is_ok_and(|response| response.status().is_success()) {
            response = self.post(scope, plain).await;
        }
        let response = response?;
        match response.status() {
            StatusCode::CREATED => Ok(None),
            StatusCode::ACCEPTED => self.location(&response).map(Some),
            _ => {
                let what = format!("can't begin an upload to {}/{}", self.name, scope.repository);
                Err(self.refusal(what, response).await)
            }
        }
    }

    async fn post(&self, scope: &Scope, url: Url) -> Result<Response> {
        let post = || self.http.post(url.clone()).header(header::CONTENT_LENGTH, 0).timeout(CALL);
        self.send(scope, post).await
    }

    /// Where to send to, as the registry says; a login is only ever sent to the registry itself.
    fn location(&self, response: &Response) -> Result<Url> {
        let value = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let url = value.and_then(|value| response.url().join(value).ok());
        let url = url
            .ok_or_else(|| Failure::failed(format!("the registry {} does not say where an upload goes", self.name)))?;
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        if place(&url) == place(&self.root) {
            return Ok(url);
        }
        let elsewhere = url.host_str().unwrap_or_default();
        Err(Failure::failed(format!("the registry {} sends uploads to another host, {elsewhere}", self.name))
            .cause("a login for the one is not given to the other")
            .hint("Behind a proxy the registry has to know its own address."))
    }

    /// Sends what is missing in one stream, and closes the upload.
    async fn attempt(&self, scope: &Scope, cargo: &Cargo<'_>, location: Url) -> std::result::Result<(), Attempt> {
        let what = || format!("can't send a blob to {}/{}", self.name, scope.repository);
        let (offset, size) = (cargo.position.load(Ordering::Relaxed), cargo.blob.size);
        let location = if offset < size {
            let mut request = self
                .http
                .patch(location)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_LENGTH, size - offset)
                .header(header::CONTENT_RANGE, format!("{offset}-{}", size - 1))
                .body(cargo.body(offset).await.map_err(Attempt::Failed)?);
            if let Some(value) = self.known(scope) {
                request =
                    request.header(header::AUTHORIZATION, super::auth::sensitive(&value).map_err(Attempt::Failed)?);
            }
            let response = cargo.moving(request.send()).await;
            let response = response.map_err(|why| Attempt::broken(Failure::unreachable(what()).cause(why)))?;
            if !response.status().is_success() {
                return Err(self.judge(scope, what(), response).await);
            }
            self.location(&response).map_err(Attempt::Failed)?
        } else {
            location
        };
        let mut url = location;
        url.query_pairs_mut().append_pair("digest", &cargo.blob.digest.to_string());
        let close = || self.http.put(url.clone()).header(header::CONTENT_LENGTH, 0).timeout(CALL * 5);
        let response = match self.once(scope, &close).await {
            Ok(response) => response,
            Err(Trouble::Final(failure)) => return Err(Attempt::Failed(failure)),
            Err(Trouble::OnTheWay(error)) => {
                return Err(Attempt::broken(Failure::unreachable(what()).because(&error)));
            }
        };
        if response.status().is_success() { Ok(()) } else { Err(self.judge(scope, what(), response).await) }
    }

    /// Whether another try makes sense. A registry that has lost a part of what came says so as 4xx.
    async fn judge(&self, scope: &Scope, what: String, response: Response) -> Attempt {
        let (status, headers) = (response.status(), response.headers().clone());
        let lost = [StatusCode::RANGE_NOT_SATISFIABLE, StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST];
        if status == StatusCode::UNAUTHORIZED {
            // A token may run out during a long upload; the next call asks for a new one.
            self.authorizations.lock().unwrap_or_else(PoisonError::into_inner).remove(scope);
        }
        let again = is_passing(status) || lost.contains(&status) || status == StatusCode::UNAUTHORIZED;
        let failure = self.refusal(what, response).await;
        if again { Attempt::Broken { why: failure, headers } } else { Attempt::Failed(failure) }
    }

    /// Asks how much of an upload has arrived. None: the registry has given it up.
    async fn arrived(&self, scope: &Scope, location: &Url, size: u64) -> Option<(Url, u64)> {
        let response = self.call(scope, Method::GET, location.clone()).await.ok()?;
        if response.status() != StatusCode::NO_CONTENT {
            return None;
        }
        let range = response.headers().get(header::RANGE)?.to_str().ok()?.to_owned();
        let last: u64 = range.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
        // `0-0` is what registries say of nothing.
        let offset = if last == 0 { 0 } else { last + 1 };
        let location = self.location(&response).unwrap_or_else(|_| location.clone());
        (offset <= size).then_some((location, offset))
    }
}

/// Why an attempt to send came to nothing.
enum Attempt {
    /// Another one may succeed.
    Broken {
        why: Failure,
        headers: HeaderMap,
    },
    Failed(Failure),
}

impl Attempt {
    fn broken(why: Failure) -> Self {
        Self::Broken { why, headers: HeaderMap::new() }
    }
}

/// A blob on its way.
struct Cargo<'a> {
    blob: &'a Descriptor,
    path: &'a Path,
    /// Bytes that have gone out.
    position: Arc<AtomicU64>,
    meter: &'a Arc<Meter>,
}

impl Cargo<'_> {
    async fn body(&self, offset: u64) -> Result<Body> {
        let what = || format!("can't read {}", self.path.display());
        let mut file = tokio::fs::File::open(self.path).await.or_fail(what)?;
        file.seek(std::io::SeekFrom::Start(offset)).await.or_fail(what)?;
        let file = file.take(self.blob.size - offset);
        let (position, meter) = (Arc::clone(&self.position), Arc::clone(self.meter));
        Ok(Body::wrap_stream(ReaderStream::with_capacity(file, READ).inspect(move |part| {
            if let Ok(part) = part {
                position.fetch_add(part.len() as u64, Ordering::Relaxed);
                meter.send(part.len() as u64);
            }
        })))
    }

    /// What came after this has to go out again.
    fn go_back(&self, offset: u64) {
        let before = self.position.swap(offset, Ordering::Relaxed);
        self.meter.take_back(before.saturating_sub(offset));
    }

    /// The answer, unless nothing moves any more.
    async fn moving(
        &self,
        sending: impl Future<Output = reqwest::Result<Response>>,
    ) -> std::result::Result<Response, String> {
        let mut sending = std::pin::pin!(sending);
        loop {
            let before = self.position.load(Ordering::Relaxed);
            tokio::select! {
                answer = &mut sending => return answer.map_err(|error| {
                    let error = error.without_url();
                    Failure::failed("the connection broke").because(&error).to_string()
                }),
                () = tokio::time::sleep(STALLED) => {
                    if self.position.load(Ordering::Relaxed) == before {
                        return Err(format!("nothing has moved for {} s", STALLED.as_secs()));
                    }
                }
            }
        }
    }
}

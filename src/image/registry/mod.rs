//! A registry's HTTP interface, as the OCI distribution specification 1.1 has it
//! (<https://github.com/opencontainers/distribution-spec>).

mod auth;
mod credentials;
mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::digest::Digest;
use super::oci::{self, Descriptor};
use crate::failure::{Failure, Kind, OrFail, Result};
use crate::settings::{Environment, Secret};
use auth::Challenge;

pub use credentials::{Credentials, DockerConfig, Login};
pub(super) use upload::{Meter, Upload};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one call may take that moves little.
const CALL: Duration = Duration::from_secs(60);
/// Tries of a call that fails on the way.
pub(super) const TRIES: u32 = 3;
/// How long nothing may move before the connection counts as broken.
pub(super) const STALLED: Duration = Duration::from_secs(60);
/// Tries of a call that the registry asks to make later.
const BUSY_TRIES: u32 = 6;
/// The longest pause that a registry can ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// What a token is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub repository: String,
    pub push: bool,
    /// The repository that a blob is mounted from.
    pub from: Option<String>,
}

impl Scope {
    fn texts(&self) -> Vec<String> {
        let actions = if self.push { "pull,push" } else { "pull" };
        let own = format!("repository:{}:{actions}", self.repository);
        let from = self.from.as_ref().map(|from| format!("repository:{from}:pull"));
        [own].into_iter().chain(from).collect()
    }
}

/// A registry, spoken to in the name of whoever has logged in.
pub struct Registry {
    http: Client,
    name: String,
    root: Url,
    credentials: Arc<dyn Credentials>,
    authorizations: Mutex<HashMap<Scope, Secret>>,
    /// Who is refused first asks for a token; the others wait for that one.
    asking: tokio::sync::Mutex<()>,
}

/// Whether a host is this machine: there the network is not in between, and plain HTTP is enough.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Registry {
    /// A registry by its name in references, such as `registry.example.com` or `127.0.0.1:5000`. Nothing is sent yet.
    ///
    /// # Errors
    /// The name can't be a host.
    pub fn new(name: &str, environment: &Environment, credentials: Arc<dyn Credentials>) -> Result<Self> {
        let host = if name == "docker.io" { "registry-1.docker.io" } else { name };
        let wrong = || {
            Failure::usage(format!("`{name}` can't be a registry"))
                .hint("It is a host, with its port where that is not 443: registry.example.com:5000")
        };
        let is_own =
            Url::parse(&format!("http://{host}")).ok().is_some_and(|url| url.host_str().is_some_and(is_loopback));
        let scheme = if is_own { "http" } else { "https" };
        let root = Url::parse(&format!("{scheme}://{host}")).map_err(|_| wrong())?;
        if root.path() != "/" || root.host_str().is_none() || root.query().is_some() || !root.username().is_empty() {
            return Err(wrong());
        }
        // Decompression would change what a digest is taken of; none is compiled in.
        let mut builder =
            Client::builder().connect_timeout(CONNECT).user_agent(concat!("streamify/", env!("CARGO_PKG_VERSION")));
        let variable = |upper: &str, lower: &str| environment.get(lower).or_else(|| environment.get(upper));
        let proxy = if is_own { None } else { variable("HTTPS_PROXY", "https_proxy") };
        if let Some(address) = proxy {
            let except = variable("NO_PROXY", "no_proxy").and_then(reqwest::NoProxy::from_string);
            // Its address may hold a password.
            let proxy = reqwest::Proxy::https(address).map_err(|_| {
                Failure::usage("the variable HTTPS_PROXY is not valid").hint("It is such as http://proxy:3128")
            })?;
            builder = builder.proxy(proxy.no_proxy(except));
        } else {
            builder = builder.no_proxy();
        }
        let http = builder.build().or_fail(|| "can't make an HTTP client".into())?;
        Ok(Self {
            http,
            name: name.to_owned(),
            root,
            credentials,
            authorizations: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// As in references.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An address below a repository's.
    fn url(&self, repository: &str, rest: &str) -> Url {
        let mut url = self.root.clone();
        url.set_path(&format!("/v2/{repository}/{rest}"));
        url
    }

    fn known(&self, scope: &Scope) -> Option<Secret> {
        self.authorizations.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    /// One try: with what is known to be let through, and where that is refused with what the registry asks for.
    async fn once(
        &self,
        scope: &Scope,
        request: &(dyn Fn() -> RequestBuilder + Sync),
    ) -> std::result::Result<Response, Trouble> {
        let send = async |authorization: Option<&Secret>| -> std::result::Result<Response, Trouble> {
            let mut request = request();
            if let Some(value) = authorization {
                request = request.header(header::AUTHORIZATION, auth::sensitive(value).map_err(Trouble::Final)?);
            }
            request.send().await.map_err(|error| Trouble::OnTheWay(error.without_url()))
        };
        let tried = self.known(scope);
        let response = send(tried.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let _alone = self.asking.lock().await;
        let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        let newer = self.known(scope).filter(|known| text(&tried).as_deref() != Some(known.expose()));
        if newer.is_some() {
            let response = send(newer.as_ref()).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
        }
        let mut challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let Some(challenge) = challenges.find_map(|value| Challenge::parse(value.to_str().ok()?)) else {
            return Ok(response);
        };
        let login = self.credentials.login(&self.name).await.map_err(Trouble::Final)?;
        let (is_secure, is_known) = (self.root.scheme() == "https", login.is_some());
        let answer = auth::answer(&self.http, &self.name, is_secure, &challenge, scope, login).await;
        let authorization = answer.map_err(Trouble::Final)?;
        let response = send(Some(&authorization)).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let failure = if is_known { auth::refused(&self.name) } else { auth::nobody(&self.name) };
            return Err(Trouble::Final(failure.cause(describe(response).await)));
        }
        self.authorizations.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.clone(), authorization);
        Ok(response)
    }

    /// Tries until the registry has answered for good: again after what may pass, later where it asks for that.
    async fn send(&self, scope: &Scope, request: impl Fn() -> RequestBuilder + Sync) -> Result<Response> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(scope, &request).await {
                Ok(response) => {
                    let status = response.status();
                    let limit = if status == StatusCode::TOO_MANY_REQUESTS { BUSY_TRIES } else { TRIES };
                    if !is_passing(status) || tries >= limit {
                        return Ok(response);
                    }
                    tokio::time::sleep(pause(tries, response.headers())).await;
                }
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::OnTheWay(error)) if tries >= TRIES => return Err(self.unreachable(&error)),
                Err(Trouble::OnTheWay(_)) => tokio::time::sleep(pause(tries, &HeaderMap::new())).await,
            }
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let failure = Failure::unreachable(format!("can't reach the registry {}", self.name)).because(error);
        let failure = failure.cause(format!("{TRIES} tries"));
        if self.root.host_str().is_some_and(is_loopback) {
            return failure.hint("Does it run? Another one: --registry HOST:PORT");
        }
        if failure.causes.iter().any(|cause| cause.contains("certificate")) {
            return failure
                .hint("Its certificate is not from an authority that this machine trusts.")
                .hint("An authority of your own goes among the system's, or into the file that SSL_CERT_FILE names.");
        }
        failure.hint("Look at its name, at the connection, and at HTTPS_PROXY where there is a proxy.")
    }

    /// A call without a body.
    async fn call(&self, scope: &Scope, method: Method, url: Url) -> Result<Response> {
        self.send(scope, || self.http.request(method.clone(), url.clone()).timeout(CALL)).await
    }

    /// The digest that a tag or digest stands for; None where there is no such manifest.
    pub(super) async fn head_manifest(&self, scope: &Scope, name: &str) -> Result<Option<Digest>> {
        let url = self.url(&scope.repository, &format!("manifests/{name}"));
        let accept = oci::ACCEPTED.join(", ");
        let ask = || self.http.head(url.clone()).header(header::ACCEPT, &accept).timeout(CALL);
        let response = self.send(scope, ask).await?;
        if is_missing(response.status()) {
            return Ok(None);
        }
        let what = || format!("can't look for {}/{}:{name}", self.name, scope.repository);
        if !response.status().is_success() {
            return Err(self.refusal(what(), response).await);
        }
        let value = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        value.map(Digest::parse).transpose()
    }

    /// A manifest with what it is; None where there is none.
    pub(super) async fn manifest(&self, scope: &Scope, name: &str) -> Result<Option<(Descriptor, Vec<u8>)>> {
        let url = self.url(&scope.repository, &format!("manifests/{name}"));
        let accept = oci::ACCEPTED.join(", ");
        let ask = || self.http.get(url.clone()).header(header::ACCEPT, &accept).timeout(CALL);
        let response = self.send(scope, ask).await?;
        if is_missing(response.status()) {
            return Ok(None);
        }
        let what = || format!("can't read {}/{}:{name}", self.name, scope.repository);
        if !response.status().is_success() {
            return Err(self.refusal(what(), response).await);
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or(kind).trim().to_owned()).unwrap_or_default();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error.without_url()))?;
        let descriptor = Descriptor::of(&kind, &bytes);
        if Digest::parse(name).is_ok_and(|wanted| wanted != descriptor.digest) {
            return Err(Failure::failed(what()).cause(format!("what came has another digest, {}", descriptor.digest)));
        }
        Ok(Some((descriptor, bytes.to_vec())))
    }

    /// Puts a manifest under a tag or its digest. Tells whether the registry keeps lists of referrers itself.
    pub(super) async fn put_manifest(
        &self,
        scope: &Scope,
        name: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<bool> {
        let url = self.url(&scope.repository, &format!("manifests/{name}"));
        let put = || {
            let request = self.http.put(url.clone()).header(header::CONTENT_TYPE, media_type);
            request.body(bytes.clone()).timeout(CALL)
        };
        let response = self.send(scope, put).await?;
        if response.status().is_success() {
            return Ok(response.headers().contains_key("oci-subject"));
        }
        let shown = if name.starts_with("sha256:") { format!("@{name}") } else { format!(":{name}") };
        Err(self.refusal(format!("can't put {}/{}{shown}", self.name, scope.repository), response).await)
    }

    pub(super) async fn has_blob(&self, scope: &Scope, digest: &Digest) -> Result<bool> {
        let url = self.url(&scope.repository, &format!("blobs/{digest}"));
        let response = self.call(scope, Method::HEAD, url).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            status if is_missing(status) => Ok(false),
            _ => Err(self
                .refusal(format!("can't look for a blob in {}/{}", self.name, scope.repository), response)
                .await),
        }
    }

    /// A blob's bytes, as they come.
    pub(super) async fn blob(&self, scope: &Scope, digest: &Digest) -> Result<Response> {
        let url = self.url(&scope.repository, &format!("blobs/{digest}"));
        let response = self.send(scope, || self.http.get(url.clone())).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(format!("can't read the blob {digest} of {}/{}", self.name, scope.repository), response).await)
    }

    /// A blob that is a document.
    pub(super) async fn document<T: DeserializeOwned>(&self, scope: &Scope, descriptor: &Descriptor) -> Result<T> {
        let what = || format!("can't read the document {} of {}/{}", descriptor.digest, self.name, scope.repository);
        let response = self.blob(scope, &descriptor.digest).await?;
        let read = tokio::time::timeout(CALL, response.bytes()).await;
        let read =
            read.map_err(|_| Failure::unreachable(what()).cause(format!("no end after {} s", CALL.as_secs())))?;
        let bytes = read.map_err(|error| self.unreachable(&error.without_url()))?;
        if Digest::of(&bytes) != descriptor.digest {
            return Err(Failure::failed(what()).cause("what came has another digest"));
        }
        serde_json::from_slice(&bytes).or_fail(what)
    }

    /// What refers to a manifest: by the registry's own list, or by the tag that stands for it where it has none.
    pub(super) async fn referrers(&self, scope: &Scope, digest: &Digest) -> Result<Vec<Descriptor>> {
        let url = self.url(&scope.repository, &format!("referrers/{digest}"));
        let response = self.call(scope, Method::GET, url).await?;
        let bytes = if response.status().is_success() {
            response.bytes().await.map_err(|error| self.unreachable(&error.without_url()))?.to_vec()
        } else {
            match self.manifest(scope, &fallback_tag(digest)).await? {
                Some((_, bytes)) => bytes,
                None => return Ok(Vec::new()),
            }
        };
        let index: oci::Index = serde_json::from_slice(&bytes)
            .or_fail(|| format!("{} lists what refers to {digest} in no way that is known", self.name))?;
        Ok(index.manifests)
    }

    /// What a refusal means.
    async fn refusal(&self, what: String, response: Response) -> Failure {
        let status = response.status();
        let said = describe(response).await;
        let failure = match status {
            StatusCode::TOO_MANY_REQUESTS => Failure::failed(what)
                .cause(format!("the registry is asked too often; {BUSY_TRIES} tries"))
                .hint("Try again in some minutes."),
            status if status.is_server_error() => Failure::new(Kind::Unreachable, what),
            StatusCode::UNAUTHORIZED => auth::refused(&self.name),
            StatusCode::FORBIDDEN => Failure::failed(what)
                .hint(format!("The login has no permission for this repository: docker login {}", self.name)),
            _ => Failure::failed(what),
        };
        let failure = failure.cause(said.clone());
        if said.contains("immutable") {
            return failure.hint("The tag belongs to another image already, and tags of this repository never move: give another one by --tag.");
        }
        if said.contains("NAME_UNKNOWN") || said.contains("does not exist") {
            return failure.hint("Make the repository first, or look at its name.");
        }
        failure
    }
}

/// Why a try came to nothing.
enum Trouble {
    /// Another try may succeed.
    OnTheWay(reqwest::Error),
    Final(Failure),
}

/// Registries answer 404 for what is not there; some answer 403 for repositories that are not.
fn is_missing(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND
}

/// Whether the same call may succeed in a moment.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
}

/// How long to wait before another try: what the registry asks for (RFC 9110, section 10.2.3), or twice as long each
/// time, from a quarter of a second on, with a random part so that many don't come back at once.
fn pause(tries: u32, headers: &HeaderMap) -> Duration {
    let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let longest = Duration::from_millis(250) * 2_u32.saturating_pow(tries.saturating_sub(1));
    let own = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
    asked.map_or(own, |seconds| Duration::from_secs(seconds) + own.mul_f64(0.1)).min(LONGEST)
}

/// The tag under which an index of referrers stands where a registry keeps no list (distribution specification 1.1,
/// "Unavailable Referrers API").
pub(super) fn fallback_tag(digest: &Digest) -> String {
    format!("sha256-{}", digest.hex())
}

/// What a registry says of an error, in its own words (distribution specification, "Error Codes").
async fn describe(response: Response) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(serde::Deserialize)]
    struct Error {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let Ok(errors) = serde_json::from_str::<Errors>(&text) else { return format!("it answers {status}") };
    let said = errors.errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect::<Vec<_>>();
    if said.is_empty() { format!("it answers {status}") } else { format!("{} ({status})", said.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let environment = Environment::default();
        let of = |name: &str| Registry::new(name, &environment, Arc::new(DockerConfig::new(&environment)));
        assert_eq!(of("127.0.0.1:5000").unwrap().root.scheme(), "http");
        assert_eq!(of("localhost").unwrap().root.scheme(), "http");
        assert_eq!(of("docker.io").unwrap().root.as_str(), "https://registry-1.docker.io/");
        for name in ["a/b", "user:password@r.example.com", "r.example.com?x", ""] {
            let failure = of(name).map(|_| ()).unwrap_err();
            assert_eq!(failure.kind.exit_code(), 2, "{name}");
        }
    }

    #[test]
    fn pauses_grow_and_the_registry_has_a_say() {
        let none = HeaderMap::new();
        assert!(pause(1, &none) <= Duration::from_millis(250));
        assert!(pause(3, &none) >= Duration::from_millis(500));
        let asked = HeaderMap::from_iter([(header::RETRY_AFTER, "2".parse().unwrap())]);
        assert!((2.0..3.0).contains(&pause(1, &asked).as_secs_f64()));
        let long = HeaderMap::from_iter([(header::RETRY_AFTER, "86400".parse().unwrap())]);
        assert_eq!(pause(1, &long), LONGEST);
    }
}

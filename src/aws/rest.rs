//! Signed requests to services that speak REST (<https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html> and
//! its XML sibling), for the few calls that are needed of them.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use super::failure::{Refusal, chain};
use super::signed::{PAUSE, encoded, refusal};
use super::{Aws, Service};
use crate::failure::{Failure, Result};

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    service: Service,
    method: Method,
    /// Encoded, with its query.
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    endpoint: Option<String>,
    attempts: Option<u32>,
    timeout: Option<Duration>,
}

impl Call {
    /// A request without a body. `path` is made of [`Call::part`]s, and begins with a slash.
    pub fn new(service: Service, method: Method, path: String) -> Self {
        Self {
            service,
            method,
            path,
            headers: Vec::new(),
            body: Vec::new(),
            endpoint: None,
            attempts: None,
            timeout: None,
        }
    }

    /// A name as it stands in a path or a query.
    pub fn part(name: &str) -> String {
        encoded(name)
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// JSON, with its content type.
    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    /// The address, for a service that has no usual one; a path of it goes before the call's own.
    #[must_use]
    pub fn at(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// One try, whatever comes of it: for callers that try by themselves.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.attempts = Some(1);
        self
    }

    /// How long a try may take, where that is more or less than usual.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// The code of a refusal, such as `ResourceNotFoundException`.
    pub fn code(&self) -> String {
        let named = self.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        // What comes after a colon is an address for tools.
        named.and_then(|code| code.split(':').next()).map_or_else(|| refusal(&self.text()).0, str::to_owned)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none, with `doing` as the message.
    pub fn json(&self, doing: &str) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::failed(doing).cause("the answer is not JSON").because(&error))
    }
}

impl Aws {
    /// Sends a request until it is answered with something that does not pass by itself.
    ///
    /// # Errors
    /// No credentials, or nobody answers, with `doing` as the message. A refusal is an answer: see [`Aws::accepted`].
    pub async fn call(&self, call: &Call, doing: &str) -> Result<Reply> {
        let attempts = call.attempts.unwrap_or(self.attempts);
        let mut pause = PAUSE;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.call_once(call, doing).await? {
                Ok(reply) => {
                    let is_passing = reply.status.is_server_error()
                        || reply.status == StatusCode::TOO_MANY_REQUESTS
                        || (reply.status.is_client_error() && reply.code().contains("Throttl"));
                    if !is_passing || attempt >= attempts {
                        return Ok(reply);
                    }
                }
                Err(error) if attempt < attempts && (error.is_connect() || error.is_timeout()) => {}
                Err(error) => return Err(self.unreachable(doing.to_owned(), &chain(&error))),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Sends a request that has to succeed.
    ///
    /// # Errors
    /// As of [`Aws::call`], and refusals.
    pub async fn accepted(&self, call: &Call, doing: &str) -> Result<Reply> {
        let reply = self.call(call, doing).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(self.refused_by(&reply, doing)) }
    }

    /// The failure of a reply that is a refusal.
    pub fn refused_by(&self, reply: &Reply, doing: &str) -> Failure {
        let (_, message, request) = refusal(&reply.text());
        let code = reply.code();
        let code = if code.is_empty() { reply.status.as_str().to_owned() } else { code };
        let named = reply.headers.get("x-amzn-requestid").and_then(|value| value.to_str().ok());
        let request = request.as_deref().or(named);
        self.refused(doing.to_owned(), &Refusal { code: &code, message: &message, request })
    }

    /// One try: the outer result is what can't be mended by another, the inner one what the network did.
    async fn call_once(&self, call: &Call, doing: &str) -> Result<std::result::Result<Reply, reqwest::Error>> {
        let (usual, region) = call.service.place(self.region());
        let endpoint = call.endpoint.clone().or_else(|| self.endpoint(call.service)).unwrap_or(usual);
        let url = format!("{}{}", endpoint.trim_end_matches('/'), call.path);
        let provider = self
            .config
            .credentials_provider()
            .ok_or_else(|| Failure::failed(doing).cause("there are no AWS credentials"))?;
        // Asked at every try: they may be renewed in between.
        let credentials =
            provider.provide_credentials().await.map_err(|error| self.without_credentials(doing.to_owned(), &error))?;
        let broken = |error: &(dyn std::error::Error + 'static)| {
            Failure::failed(doing).cause(format!("can't sign a request to {url}")).because(error)
        };
        let parsed: reqwest::Url = url.parse().map_err(|error| broken(&error))?;
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        if call.service == Service::S3 {
            // Keys are what they are: neither encoded twice nor tidied up.
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(call.service.signing_name())
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| broken(&error))?;
        let signable = SignableRequest::new(
            call.method.as_str(),
            parsed.as_str(),
            call.headers.iter().map(|(name, value)| (*name, value.as_str())),
            SignableBody::Bytes(&call.body),
        );
        let signed = signable.and_then(|request| sign(request, &parameters.into())).map_err(|error| broken(&error))?;
        let (instructions, _) = signed.into_parts();
        let mut request = self.http.request(call.method.clone(), parsed).body(call.body.clone());
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(async {
            self.requests.add();
            let response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok(Reply { status, headers, body: response.bytes().await?.to_vec() })
        }
        .await)
    }
}

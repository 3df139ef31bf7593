//! Signed requests to services whose SDK would cost minutes of every build, for the few calls that are needed of them.
//!
//! The protocols: <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html> (EC2 has the older dialect
//! <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>) and
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::Aws;
use super::failure::{Refusal, chain};
use crate::failure::{Failure, Result};

/// A service that is asked without an SDK of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Networks.
    Ec2,
    /// Roles. One for all regions of a partition.
    Iam,
    /// Service Quotas.
    Quotas,
    /// Functions.
    Lambda,
    /// Objects.
    S3,
    /// The network that brings pages to browsers. One for all regions of a partition.
    CloudFront,
    /// Connections of a WebSocket API; each API has an address of its own.
    Connections,
}

impl Service {
    /// The name in signatures and addresses.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Quotas => "servicequotas",
            Self::Lambda => "lambda",
            Self::S3 => "s3",
            Self::CloudFront => "cloudfront",
            Self::Connections => "execute-api",
        }
    }

    /// The end of `AWS_ENDPOINT_URL_…`, and the name in a profile's `services` section.
    fn id(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Iam => "IAM",
            Self::Quotas => "Service Quotas",
            Self::Lambda => "Lambda",
            Self::S3 => "S3",
            Self::CloudFront => "CloudFront",
            Self::Connections => "ApiGatewayManagementApi",
        }
    }

    /// Where it is, and the region that requests are signed for.
    pub(super) fn place(self, region: &str) -> (String, String) {
        let name = self.signing_name();
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        match self {
            Self::Iam if region.starts_with("cn-") => {
                (format!("https://iam.cn-north-1.{domain}"), "cn-north-1".to_owned())
            }
            Self::Iam if region.starts_with("us-gov-") => {
                (format!("https://iam.us-gov.{domain}"), "us-gov-west-1".to_owned())
            }
            Self::Iam => (format!("https://iam.{domain}"), "us-east-1".to_owned()),
            Self::CloudFront if region.starts_with("cn-") => {
                (format!("https://cloudfront.cn-northwest-1.{domain}"), "cn-northwest-1".to_owned())
            }
            Self::CloudFront => (format!("https://cloudfront.{domain}"), "us-east-1".to_owned()),
            _ => (format!("https://{name}.{region}.{domain}"), region.to_owned()),
        }
    }
}

/// What a query answered: XML, read by the names of its elements.
#[derive(Debug)]
pub struct Answer(String);

impl Answer {
    /// The text of the document.
    ///
    /// # Errors
    /// It is not XML.
    pub fn document(&self) -> Result<roxmltree::Document<'_>> {
        roxmltree::Document::parse(&self.0)
            .map_err(|error| Failure::failed("the answer of AWS is not XML").because(&error))
    }
}

/// The text of a child element.
pub fn text<'a>(node: roxmltree::Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.has_tag_name_in_any(name)).and_then(|child| child.text())
}

/// The entries of a list: EC2 calls them `item`, the others `member`.
pub fn entries<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    list: &str,
) -> impl Iterator<Item = roxmltree::Node<'a, 'input>> + use<'a, 'input> {
    let list = node.descendants().find(|child| child.has_tag_name_in_any(list));
    list.into_iter().flat_map(|list| list.children().filter(roxmltree::Node::is_element))
}

trait AnyNamespace {
    fn has_tag_name_in_any(&self, name: &str) -> bool;
}

impl AnyNamespace for roxmltree::Node<'_, '_> {
    /// AWS's answers have a namespace with a version in it, which says nothing.
    fn has_tag_name_in_any(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// The pause before the second try; it doubles.
pub(super) const PAUSE: Duration = Duration::from_millis(300);

impl Aws {
    /// Sends a query and reads the XML that answers it. `parameters` are the action's, without `Action` and `Version`.
    ///
    /// # Errors
    /// As of every client, with `doing` as the message.
    pub async fn query(
        &self,
        service: Service,
        action: &str,
        version: &str,
        parameters: &[(&str, &str)],
        doing: &str,
    ) -> Result<Answer> {
        let mut pairs = vec![("Action", action), ("Version", version)];
        pairs.extend_from_slice(parameters);
        let body = pairs.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
        let body = body.collect::<Vec<_>>().join("&");
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        self.send(service, &headers, body, doing).await.map(Answer)
    }

    /// Sends a JSON request and reads the JSON that answers it. `target` names the API and the operation.
    ///
    /// # Errors
    /// As of every client, with `doing` as the message.
    pub async fn json(
        &self,
        service: Service,
        target: &str,
        body: &serde_json::Value,
        doing: &str,
    ) -> Result<serde_json::Value> {
        let headers = [("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amz-target", target.to_owned())];
        let text = self.send(service, &headers, body.to_string(), doing).await?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::failed(doing).cause("the answer is not JSON").because(&error))
    }

    /// Gets what a signed address leads to, such as a layer of an image.
    ///
    /// # Errors
    /// Nobody answers, or not with success; the address, which opens it to anybody, is not said.
    pub async fn fetch(&self, url: &str, doing: &str) -> Result<String> {
        self.requests.add();
        let fetched = async { self.http.get(url).send().await?.error_for_status()?.text().await };
        fetched.await.map_err(|error| Failure::failed(doing).because(&error.without_url()))
    }

    async fn send(
        &self,
        service: Service,
        headers: &[(&'static str, String)],
        body: String,
        doing: &str,
    ) -> Result<String> {
        let mut pause = PAUSE;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (status, answer) = match self.send_once(service, headers, &body, doing).await? {
                Ok(answered) => answered,
                Err(error) if attempt < self.attempts && (error.is_connect() || error.is_timeout()) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    continue;
                }
                Err(error) => return Err(self.unreachable(doing.to_owned(), &chain(&error))),
            };
            if status.is_success() {
                return Ok(answer);
            }
            let (code, message, request) = refusal(&answer);
            let is_passing =
                status.is_server_error() || ["Throttl", "RequestLimit"].iter().any(|part| code.contains(part));
            if !is_passing || attempt >= self.attempts {
                let code = if code.is_empty() { status.as_str().to_owned() } else { code };
                let refusal = Refusal { code: &code, message: &message, request: request.as_deref() };
                return Err(self.refused(doing.to_owned(), &refusal));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// One try: the outer result is what can't be mended by another, the inner one what the network did.
    async fn send_once(
        &self,
        service: Service,
        headers: &[(&'static str, String)],
        body: &str,
        doing: &str,
    ) -> Result<std::result::Result<(reqwest::StatusCode, String), reqwest::Error>> {
        let (usual, region) = service.place(&self.region);
        let url = self.endpoint(service).unwrap_or(usual);
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
        let url: reqwest::Url = url.parse().map_err(|error| broken(&error))?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(service.signing_name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| broken(&error))?;
        let signable = SignableRequest::new(
            "POST",
            url.as_str(),
            headers.iter().map(|(name, value)| (*name, value.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        );
        let signed = signable.and_then(|request| sign(request, &parameters.into())).map_err(|error| broken(&error))?;
        let (instructions, _) = signed.into_parts();
        let mut request = self.http.post(url.clone()).body(body.to_owned());
        for (name, value) in headers {
            request = if *name == "content-type" {
                let value = HeaderValue::from_str(value).map_err(|error| broken(&error))?;
                request.header(CONTENT_TYPE, value)
            } else {
                request.header(*name, value)
            };
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(async {
            self.requests.add();
            let response = request.send().await?;
            let status = response.status();
            Ok((status, response.text().await?))
        }
        .await)
    }

    /// The address that variables or the profile give instead of AWS's own, in the order that the SDKs have.
    pub(super) fn endpoint(&self, service: Service) -> Option<String> {
        let everywhere = self.config.endpoint_url().map(ToOwned::to_owned);
        if self.config.get_origin("endpoint_url").is_client_config() {
            return everywhere;
        }
        let key = aws_types::service_config::ServiceConfigKey::builder()
            .service_id(service.id())
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        self.config.service_config().and_then(|config| config.load_config(key)).or(everywhere)
    }
}

/// Code, message and request id of a refusal: XML of either dialect, or JSON.
pub(super) fn refusal(answer: &str) -> (String, String, Option<String>) {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(answer) {
        let field =
            |names: [&str; 3]| names.iter().find_map(|name| json[*name].as_str()).unwrap_or_default().to_owned();
        let code = field(["__type", "code", "Code"]);
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        return (code, field(["message", "Message", "errorMessage"]), None);
    }
    let Ok(document) = roxmltree::Document::parse(answer) else {
        // Not of AWS: what answers is a proxy's page, of which the first line must do.
        return (String::new(), answer.lines().next().unwrap_or_default().chars().take(200).collect(), None);
    };
    let find = |names: [&str; 2]| {
        let node = document.descendants().find(|node| names.contains(&node.tag_name().name()));
        node.and_then(|node| node.text()).map(ToOwned::to_owned)
    };
    let both = |name| find([name, name]).unwrap_or_default();
    (both("Code"), both("Message"), find(["RequestId", "RequestID"]))
}

/// Percent-encoding of everything but RFC 3986's unreserved characters, as signatures need it.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_own_addresses() {
        assert_eq!(Service::Ec2.place("eu-west-1").0, "https://ec2.eu-west-1.amazonaws.com");
        assert_eq!(Service::Iam.place("eu-west-1"), ("https://iam.amazonaws.com".into(), "us-east-1".into()));
        assert_eq!(Service::Iam.place("us-gov-east-1").1, "us-gov-west-1");
        assert_eq!(Service::Quotas.place("cn-north-1").0, "https://servicequotas.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn refusals_are_read_in_every_dialect() {
        let ec2 = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no &amp; no</Message></Error>\
                   </Errors><RequestID>r-1</RequestID></Response>";
        assert_eq!(refusal(ec2), ("UnauthorizedOperation".into(), "no & no".into(), Some("r-1".into())));
        let iam = "<ErrorResponse xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><Error><Type>Sender</Type>\
                   <Code>NoSuchEntity</Code><Message>m</Message></Error><RequestId>r-2</RequestId></ErrorResponse>";
        assert_eq!(refusal(iam), ("NoSuchEntity".into(), "m".into(), Some("r-2".into())));
        let json = r#"{"__type":"com.amazonaws.servicequotas#AccessDeniedException","Message":"m"}"#;
        assert_eq!(refusal(json), ("AccessDeniedException".into(), "m".into(), None));
        assert_eq!(refusal("<html>502\nmore").1, "<html>502");
    }

    #[test]
    fn parameters_are_encoded_as_they_are_signed() {
        assert_eq!(encoded("a b/ü:~"), "a%20b%2F%C3%BC%3A~");
    }
}

//! Tokens that sign in to Amazon MSK by IAM: an address that is signed as if it were asked for, and never is.
//!
//! What the brokers take: <https://docs.aws.amazon.com/msk/latest/developerguide/iam-access-control.html>. How it is
//! written is told by AWS's own signers, such as <https://github.com/aws/aws-msk-iam-sasl-signer-python>.

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use streamify_backend::{KafkaToken, KafkaTokens};

use super::Aws;
use super::signed::encoded;
use crate::failure::Result;
use crate::settings::{Environment, Secret};

/// The longest that brokers take.
const LIFETIME: Duration = Duration::from_secs(900);

impl Aws {
    /// Tokens for these brokers with the process's own credentials, which may be renewed meanwhile.
    ///
    /// The region is the one in the brokers' names, else the process's.
    ///
    /// # Errors
    /// As of [`Aws::connect`]. That there are no credentials shows when a token is made.
    pub async fn kafka_tokens(brokers: &str, process: &Environment) -> Result<KafkaTokens> {
        let of = (None, "this process".to_owned());
        let aws = Arc::new(Self::settle(None, region(brokers), of, process).await?);
        Ok(KafkaTokens::new(move || {
            let aws = Arc::clone(&aws);
            Box::pin(async move {
                let provider = aws.config.credentials_provider().ok_or("there are no AWS credentials")?;
                let credentials = provider.provide_credentials().await.map_err(|error| {
                    aws.without_credentials("can't sign in to Amazon MSK".to_owned(), &error).to_string()
                })?;
                token(credentials, &aws.region, SystemTime::now())
                    .map_err(|error| format!("can't sign for Amazon MSK: {error}"))
            })
        }))
    }
}

/// The region in a broker's name, such as `b-1.app.x1y2z3.c2.kafka.eu-west-1.amazonaws.com:9098`.
fn region(brokers: &str) -> Option<&str> {
    brokers.split(',').find_map(|broker| {
        let host = broker.trim().split(':').next()?;
        let name = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
        name.rsplit_once('.').map(|(_, region)| region)
    })
}

/// The signed address, as the brokers want it. It ends with the credentials where those end sooner.
fn token(
    credentials: Credentials,
    region: &str,
    now: SystemTime,
) -> std::result::Result<KafkaToken, Box<dyn Error + Send + Sync>> {
    let since = now.duration_since(UNIX_EPOCH)?;
    // The signature's time is in whole seconds.
    let ends = Duration::from_secs(since.as_secs()) + LIFETIME;
    let ends = credentials
        .expiry()
        .and_then(|expiry| expiry.duration_since(UNIX_EPOCH).ok())
        .map_or(ends, |expiry| expiry.min(ends));
    let mut address = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(now)
        .settings(settings)
        .build()?;
    let request = SignableRequest::new("GET", &address, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (signed, _) = sign(request, &parameters.into())?.into_parts();
    for (name, value) in signed.params() {
        write!(address, "&{name}={}", encoded(value))?;
    }
    // For MSK's logs; it is no part of what is signed.
    write!(address, "&User-Agent={}", encoded(concat!("streamify/", env!("CARGO_PKG_VERSION"))))?;
    Ok(KafkaToken { text: Secret::new(URL_SAFE_NO_PAD.encode(address)), expires_at: i64::try_from(ends.as_millis())? })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    /// 2026-01-02T03:04:05.678Z.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_767_323_045_678)
    }

    fn signed(session: Option<&str>, ends: Option<SystemTime>) -> (String, i64) {
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, session.map(str::to_owned), ends, "tests");
        let token = token(credentials, "eu-west-1", now()).unwrap();
        assert!(!format!("{token:?}").contains("aHR0c"), "the token prints itself: {token:?}");
        let address = URL_SAFE_NO_PAD.decode(token.text.expose()).unwrap();
        (String::from_utf8(address).unwrap(), token.expires_at)
    }

    fn parameters(address: &str) -> BTreeMap<&str, &str> {
        let query = address.strip_prefix("https://kafka.eu-west-1.amazonaws.com/?").unwrap();
        query.split('&').map(|pair| pair.split_once('=').unwrap()).collect()
    }

    /// What aws-msk-iam-sasl-signer-python makes of the same keys at the same time.
    #[test]
    fn the_address_is_the_one_that_amazons_own_signer_makes() {
        let (address, ends) = signed(None, None);
        assert_eq!(ends, 1_767_323_945_000);
        let mut expected = BTreeMap::from([
            ("Action", "kafka-cluster%3AConnect"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIDEXAMPLE%2F20260102%2Feu-west-1%2Fkafka-cluster%2Faws4_request"),
            ("X-Amz-Date", "20260102T030405Z"),
            ("X-Amz-Expires", "900"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Signature", "7cc178453342e479def8e0e69cbff443ca929b5b0426af0f4b64554172c7195d"),
            ("User-Agent", concat!("streamify%2F", env!("CARGO_PKG_VERSION"))),
        ]);
        assert_eq!(parameters(&address), expected);

        let (address, _) = signed(Some("FwoGZXIvYXdzEBYaDH/abc+def=="), None);
        expected.insert("X-Amz-Security-Token", "FwoGZXIvYXdzEBYaDH%2Fabc%2Bdef%3D%3D");
        expected.insert("X-Amz-Signature", "bbd6f81f835e88198f97b68c8f7df9d0122e990d3befe2ddbfe73e96ffdb0cfe");
        assert_eq!(parameters(&address), expected);
    }

    #[test]
    fn a_token_ends_with_its_credentials() {
        let (_, ends) = signed(None, Some(now() + Duration::from_secs(60)));
        assert_eq!(ends, 1_767_323_105_678);
        let (_, ends) = signed(None, Some(now() + Duration::from_secs(6_000)));
        assert_eq!(ends, 1_767_323_945_000);
    }

    #[test]
    fn the_region_is_in_the_brokers_names() {
        let provisioned =
            "b-1.app.x1y2z3.c2.kafka.eu-west-1.amazonaws.com:9098,b-2.app.x1y2z3.c2.kafka.eu-west-1.amazonaws.com:9098";
        assert_eq!(region(provisioned), Some("eu-west-1"));
        assert_eq!(region("boot-abcd.c1.kafka-serverless.us-east-2.amazonaws.com:9098"), Some("us-east-2"));
        assert_eq!(region("b-1.app.x.c2.kafka.cn-north-1.amazonaws.com.cn:9098"), Some("cn-north-1"));
        assert_eq!(region("127.0.0.1:9092"), None);
    }
}

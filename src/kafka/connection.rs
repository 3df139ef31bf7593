//! How to reach the cluster, and what to say when it can't be reached.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use streamify_backend::KafkaTokens;

use crate::failure::{Failure, Result};
use crate::settings::{Service, Settings};

/// How long the first answer of a broker may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Properties whose values must never stand on a command line, where every user of the machine can read them.
const SECRETS: [&str; 5] =
    ["sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"];

/// The brokers to talk to: the flag, then the setting, then `local`, the running stack's, then the usual port.
pub fn brokers(flag: Option<&str>, settings: &Settings, local: impl FnOnce() -> Option<String>) -> String {
    let usual = || format!("127.0.0.1:{}", settings.dev.ports.get(&Service::Kafka).unwrap_or(&9092));
    flag.map(ToOwned::to_owned).or_else(|| settings.kafka.brokers.clone()).or_else(local).unwrap_or_else(usual)
}

/// Brokers and properties; clients are made from it.
#[derive(Clone)]
pub struct Connection {
    brokers: String,
    properties: BTreeMap<String, String>,
    tokens: Option<KafkaTokens>,
}

impl Connection {
    /// Puts together brokers, the settings' properties and those of `-X name=value`.
    ///
    /// # Errors
    /// An argument without `=`, or one that carries a secret.
    pub fn new(brokers: String, settings: &BTreeMap<String, String>, arguments: &[String]) -> Result<Self> {
        let mut properties = settings.clone();
        for argument in arguments {
            let (name, value) = argument
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("-X takes name=value, not `{argument}`")))?;
            if SECRETS.contains(&name) {
                return Err(Failure::usage(format!("the secret {name} does not belong on the command line"))
                    .cause("every user of this machine can read the arguments of a running program")
                    .hint(format!("Name a file that holds it: -X {name}.file=PATH")));
            }
            if let Some(secret) = name.strip_suffix(".file").filter(|name| SECRETS.contains(name)) {
                let text = std::fs::read_to_string(value).map_err(|error| {
                    Failure::usage(format!("can't read {value}, the file of {secret}")).because(&error)
                })?;
                properties.insert(secret.to_owned(), text.trim_end_matches(['\r', '\n']).to_owned());
            } else {
                properties.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(Self { brokers, properties, tokens: None })
    }

    /// The same with what signs in by SASL's OAUTHBEARER.
    #[must_use]
    pub fn with_tokens(self, tokens: Option<KafkaTokens>) -> Self {
        Self { tokens, ..self }
    }

    /// The brokers, as they were given.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Sets brokers, defaults and the properties that override them.
    pub(super) fn configure(&self, config: &mut ClientConfig, defaults: &[(&str, &str)]) {
        config.set("bootstrap.servers", &self.brokers).set("client.id", "streamify");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set_log_level(RDKafkaLogLevel::Error);
    }

    /// A consumer that is signed in, with defaults that the properties override. Blocks.
    pub(super) fn client(&self, defaults: &[(&str, &str)]) -> Result<(BaseConsumer<Quiet>, Quiet)> {
        let mut config = ClientConfig::new();
        self.configure(&mut config, defaults);
        let context = Quiet::of(self.tokens.as_ref());
        let client = BaseConsumer::from_config_and_context(&config, context.clone()).map_err(|error| match &error {
            // The value may be a secret, so only the name is said.
            KafkaError::ClientConfig(_, reason, name, _) if SECRETS.contains(&name.as_str()) => {
                Failure::usage(format!("the Kafka property {name} is not valid")).cause(reason.clone())
            }
            _ => Failure::usage("the Kafka properties are not valid").because(&error),
        })?;
        self.sign_in(client.client())?;
        Ok((client, context))
    }

    /// Gives a client its token, where there are tokens; when it should be given the next. librdkafka asks by itself only
    /// where a client is polled. Blocks.
    pub(super) fn sign_in(&self, client: &Client<impl ClientContext>) -> Result<Option<Instant>> {
        let Some(tokens) = &self.tokens else { return Ok(None) };
        let given = tokens.wait().and_then(|token| token.give_to(client).map(|()| token.renewal()));
        given.map(Some).map_err(|why| {
            Failure::unreachable(format!("can't sign in to Kafka at {}", self.brokers))
                .cause(why)
                .hint("The credentials are those of AWS's usual places: AWS_PROFILE, AWS_ACCESS_KEY_ID and their like.")
        })
    }

    /// A consumer for questions: metadata, watermarks, offsets of times.
    pub(super) fn asker(&self) -> Result<(BaseConsumer<Quiet>, Quiet)> {
        self.client(&[("reconnect.backoff.max.ms", "500"), ("socket.connection.setup.timeout.ms", "3000")])
    }

    /// The cluster's topics and brokers. Asking for all topics never makes one.
    pub(super) fn metadata(&self, consumer: &BaseConsumer<Quiet>, context: &Quiet) -> Result<Metadata> {
        consumer.fetch_metadata(None, ANSWER).map_err(|error| {
            // What went wrong underneath waits on the queue until it is asked for.
            for _ in 0..8 {
                drop(consumer.poll(Duration::ZERO));
            }
            self.unreachable(&error, context)
        })
    }

    /// The failure of a broker that does not answer, with what librdkafka last said of it.
    pub(super) fn unreachable(&self, error: &KafkaError, context: &Quiet) -> Failure {
        let failure = Failure::unreachable(format!("can't reach Kafka at {}", self.brokers));
        let failure = match context.last() {
            Some(reason) => failure.cause(reason),
            None => failure.because(error),
        };
        failure
            .hint("Is the local stack up? Start it with: streamify dev up")
            .hint("Another cluster: --brokers HOST:PORT, KAFKA_BROKERS, or kafka.brokers in streamify.yaml")
    }
}

/// Keeps what librdkafka says for the failure that may follow; nothing reaches standard error by itself.
#[derive(Clone)]
pub(super) struct Quiet {
    last: Arc<Mutex<Option<String>>>,
    tokens: Option<KafkaTokens>,
}

impl Quiet {
    pub(super) fn of(tokens: Option<&KafkaTokens>) -> Self {
        Self { last: Arc::default(), tokens: tokens.cloned() }
    }

    /// The last complaint.
    pub(super) fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, text: &str) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }
}

impl ClientContext for Quiet {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> std::result::Result<OAuthToken, Box<dyn Error>> {
        let tokens = self.tokens.as_ref().ok_or("no tokens are configured")?;
        Ok(tokens.wait().inspect_err(|why| self.keep(why))?.into_oauth())
    }

    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        if matches!(level, RDKafkaLogLevel::Error | RDKafkaLogLevel::Critical) {
            self.keep(message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That all brokers are down says less than why the last one was.
        if !reason.contains("brokers are down") || self.last().is_none() {
            self.keep(if reason.is_empty() { "unknown reason" } else { reason });
        }
        drop(error);
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_refused_as_an_argument_and_never_repeated() {
        let failure = Connection::new("b:1".into(), &BTreeMap::new(), &["sasl.password=hunter2".into()]).err().unwrap();
        assert!(failure.message.contains("sasl.password"));
        assert!(!format!("{failure:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_is_read_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let argument = format!("sasl.password.file={}", file.path().display());
        let connection = Connection::new("b:1".into(), &BTreeMap::new(), &[argument]).unwrap();
        assert_eq!(connection.properties["sasl.password"], "hunter2");
    }
}

//! Where Kafka is, and how it is signed in to.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Layers;
use super::file;
use crate::failure::Result;

/// Kafka.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// None: the local stack's broker.
    pub brokers: Option<String>,
    pub topic: String,
    pub security: KafkaSecurity,
    /// Properties of librdkafka: what the security needs, and over it what the file says.
    pub properties: BTreeMap<String, String>,
}

/// How brokers are spoken to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KafkaSecurity {
    /// Neither encrypted nor signed in, unless `properties` say so.
    #[default]
    Plaintext,
    /// Encrypted.
    Ssl,
    /// Encrypted, and signed in to Amazon MSK with the AWS credentials of the process.
    MskIam,
}

impl KafkaSecurity {
    const ALL: [Self; 3] = [Self::Plaintext, Self::Ssl, Self::MskIam];

    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::MskIam => "msk-iam",
        }
    }

    fn properties(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plaintext => &[],
            Self::Ssl => &[("security.protocol", "ssl")],
            Self::MskIam => &[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "OAUTHBEARER")],
        }
    }
}

impl fmt::Display for KafkaSecurity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for KafkaSecurity {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let known = Self::ALL.into_iter().find(|security| security.name() == text);
        known.ok_or_else(|| "it is plaintext, ssl or msk-iam".to_owned())
    }
}

impl KafkaSettings {
    pub(super) fn resolve(layers: &mut Layers<'_>, file: file::Kafka) -> Result<Self> {
        let brokers = layers.optional("kafka.brokers", Some("KAFKA_BROKERS"), file.brokers)?;
        let topic = layers.value("kafka.topic", None, file.topic, streamify_backend::TOPIC.to_owned())?;
        let security =
            layers.value("kafka.security", Some("KAFKA_SECURITY"), file.security, KafkaSecurity::default())?;
        let needed = security.properties().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Self { brokers, topic, security, properties: needed.chain(file.properties).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Environment, Settings};
    use super::*;

    fn kafka(text: &str, variables: &[(&str, &str)]) -> Result<KafkaSettings> {
        let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let file = file::parse(text, Path::new("streamify.yaml"))?;
        let settings = Settings::resolve(file, None, "/project".into(), &Environment::default().with(own))?;
        Ok(settings.kafka)
    }

    #[test]
    fn security_is_said_by_one_word_and_properties_go_over_it() {
        assert!(kafka("", &[]).unwrap().properties.is_empty());
        let iam = kafka("", &[("KAFKA_SECURITY", "msk-iam")]).unwrap();
        assert_eq!(iam.security, KafkaSecurity::MskIam);
        assert_eq!(iam.properties["security.protocol"], "sasl_ssl");
        assert_eq!(iam.properties["sasl.mechanism"], "OAUTHBEARER");
        let own = kafka("kafka: {security: msk-iam, properties: {security.protocol: sasl_plaintext}}", &[]).unwrap();
        assert_eq!(own.properties["security.protocol"], "sasl_plaintext");
        let ssl = kafka("kafka: {security: msk-iam}", &[("KAFKA_SECURITY", "ssl")]).unwrap();
        assert_eq!(ssl.properties, BTreeMap::from([("security.protocol".into(), "ssl".into())]));
        let failure = kafka("", &[("KAFKA_SECURITY", "iam")]).unwrap_err();
        assert!(failure.message.contains("KAFKA_SECURITY") && failure.causes[0].contains("msk-iam"), "{failure:?}");
    }
}

//! What the functions share: a database, a topic, secrets and a table of connections.

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api::{PASSWORD, video};
use crate::support::aws::{REGION, ministack, variables};
use crate::support::kafka::{Broker, topic};
use crate::support::lambda::{Function, Gateway};
use crate::support::postgres::database;
use crate::support::process::folder;

/// A client of the emulator.
macro_rules! client {
    ($sdk:ident) => {
        $sdk::Client::from_conf(
            $sdk::config::Builder::new()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region($sdk::config::Region::new(REGION))
                .endpoint_url(ministack().endpoint())
                .credentials_provider(aws_credential_types::Credentials::new("test", "test", None, None, "tests"))
                .build(),
        )
    };
}

pub(crate) use client;

pub struct World {
    pub database: String,
    pub topic: String,
    pub gateway: Gateway,
    pub table: String,
    variables: Vec<(String, String)>,
    _folder: TempDir,
}

impl World {
    /// A world whose Kafka is at this address.
    pub async fn new(brokers: &str) -> Self {
        let database = database().await;
        let (gateway, endpoint) = Gateway::start().await;
        let folder = folder();
        let own = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        let topic = topic();
        let file = folder.path().join("streamify.yaml");
        std::fs::write(&file, format!("kafka: {{topic: {topic}}}\n")).unwrap();
        let table = format!("connections-{own}");
        tokio::task::spawn_blocking(|| ministack().port).await.unwrap();
        make_table(&table).await;
        let (keys, url) = secrets(&own, &database).await;
        let mut variables = variables(&ministack().endpoint());
        let more = [
            ("STREAMIFY_CONFIG", file.to_str().unwrap()),
            ("STREAMIFY_SECRET_JWT_KEYS", &keys),
            ("STREAMIFY_SECRET_DATABASE_URL", &format!("{url}:url::")),
            ("KAFKA_BROKERS", brokers),
            ("STREAMIFY_LOGINS_PER_MINUTE", "1000"),
            ("STREAMIFY_CONNECTIONS_TABLE", &table),
            ("STREAMIFY_WEBSOCKET_ENDPOINT", &endpoint),
            ("STREAMIFY_ALLOWED_ORIGINS", "https://app.example.com"),
        ];
        variables.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self { database, topic, gateway, table, variables, _folder: folder }
    }

    /// One with a broker of all tests, and a topic of its own.
    pub async fn with_kafka(broker: &'static Broker) -> Self {
        let world = Self::new(&broker.address()).await;
        let topic = world.topic.clone();
        tokio::task::spawn_blocking(move || broker.make_topic_named(&topic, 3)).await.unwrap();
        world
    }

    /// Starts a function: `http`, `websocket` or `events`.
    pub async fn function(&self, kind: &str) -> Function {
        Function::start(kind, &self.variables).await
    }

    /// The ids of the connections that are kept.
    pub async fn kept(&self) -> Vec<String> {
        let items = client!(aws_sdk_dynamodb).scan().table_name(&self.table).send().await.unwrap().items.unwrap();
        let mut ids: Vec<String> = items.iter().map(|item| item["id"].as_s().unwrap().clone()).collect();
        ids.sort();
        ids
    }

    /// Lets the time of a row pass: sets when it was opened, or when its token ends, to the year 2020.
    pub async fn long_ago(&self, id: &str, attribute: &str) {
        let update = client!(aws_sdk_dynamodb).update_item().table_name(&self.table);
        update
            .key("id", aws_sdk_dynamodb::types::AttributeValue::S(id.to_owned()))
            .update_expression(format!("SET {attribute} = :then"))
            .expression_attribute_values(":then", aws_sdk_dynamodb::types::AttributeValue::N("1580000000".into()))
            .send()
            .await
            .unwrap();
    }
}

pub async fn make_table(name: &str) {
    let key = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
    let hash = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    let create = client!(aws_sdk_dynamodb).create_table().table_name(name);
    let create = create.attribute_definitions(key.unwrap()).key_schema(hash.unwrap());
    create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

/// Where the functions find their keys and their database: a parameter's path, and a secret's ARN.
pub async fn secrets(own: &str, database: &str) -> (String, String) {
    let path = format!("/{own}/jwt-keys");
    let put = client!(aws_sdk_ssm).put_parameter().name(&path).value(format!("test:{}", "t".repeat(40)));
    put.r#type(aws_sdk_ssm::types::ParameterType::SecureString).send().await.unwrap();
    let value = json!({ "url": database }).to_string();
    let made = client!(aws_sdk_secretsmanager).create_secret().name(format!("{own}-database")).secret_string(value);
    (path, made.send().await.unwrap().arn.unwrap())
}

/// Registers somebody through the function, and logs in; gives the access token.
pub async fn user(http: &Function, name: &str) -> String {
    let email = format!("{name}@example.com");
    let account = json!({"email": email, "password": PASSWORD, "name": name});
    let (status, body) = http.request("POST", "/api/auth/register", None, Some(account)).await;
    assert_eq!(status, 201, "{body}");
    let login = json!({"email": email, "password": PASSWORD});
    let (status, body) = http.request("POST", "/api/auth/login", None, Some(login)).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

/// Adds a video through the function; gives its id.
pub async fn add(http: &Function, token: &str, title: &str) -> String {
    let (status, body) = http.request("POST", "/api/videos", Some(token), Some(video(title))).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

/// Records as the Kafka event source brings them.
pub fn batch(topic: &str, values: &[String]) -> Value {
    let records = values.iter().enumerate().map(|(offset, value)| {
        json!({
            "topic": topic, "partition": 0, "offset": offset, "timestamp": 1_790_000_000_000_u64,
            "timestampType": "CREATE_TIME", "key": STANDARD.encode("k"), "value": STANDARD.encode(value), "headers": [],
        })
    });
    json!({
        "eventSource": "aws:kafka", "bootstrapServers": "b-1:9098",
        "eventSourceArn": "arn:aws:kafka:eu-west-1:123456789012:cluster/c/1",
        "records": {format!("{topic}-0"): records.collect::<Vec<_>>()},
    })
}

/// An envelope with this number as its id.
pub fn envelope(number: u128) -> String {
    json!({
        "id": uuid::Uuid::from_u128(number), "type": "video.created", "schema_version": 1,
        "occurred_at": "2026-01-01T00:00:00Z", "data": {"id": uuid::Uuid::from_u128(number), "title": "a film"},
    })
    .to_string()
}

//! The video app's backend: HTTP API, events and page server.
//!
//! Its door: [`serve`] and [`serve_page`] with what they have to be told ([`Config`], [`PageConfig`]), the schema's
//! [`MIGRATOR`], the API's description ([`openapi`], [`PUBLIC_ROUTES`]), the events' [`Envelope`] and [`TOPIC`], and
//! [`lambda`], the same as functions. [`KafkaTokens`] sign clients in to Kafka. It knows nothing of the command-line tool.

mod config;
mod database;
mod http;
mod kafka;
pub mod lambda;
mod modules;
mod page;
mod secret;
mod serve;
mod state;
mod together;

pub use config::{Config, DatabaseConfig, JwtConfig, JwtKey, KafkaConfig, Listeners, PageConfig};
pub use http::openapi;
pub use kafka::{KafkaToken, KafkaTokens};
pub use modules::auth::PUBLIC_ROUTES;
pub use modules::events::{Envelope, SCHEMA_VERSION};
pub use page::{PageFile, page_files, serve_page};
pub use secret::Secret;
pub use serve::{Error, serve};

/// The Kafka topic of the app's events, and their type.
pub const TOPIC: &str = "video.created";

/// The schema's migrations, numbered and append-only.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

//! The video app's backend: HTTP API, events and page server.

mod config;
mod modules;
mod secret;

pub use config::{Config, JwtConfig, JwtKey, KafkaConfig, Listeners, PageConfig};
pub use secret::Secret;

/// The Kafka topic of the app's events.
pub const TOPIC: &str = "video.created";

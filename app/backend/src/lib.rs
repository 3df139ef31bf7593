//! The video app's backend: HTTP API, events and page server.

mod secret;

pub use secret::Secret;

/// The Kafka topic of the app's events.
pub const TOPIC: &str = "video.created";

//! Kafka: reading topics and the panel.

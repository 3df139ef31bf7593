//! Real services for tests: PostgreSQL, Kafka, the backend, and clients of it.

pub mod api;
pub mod backend;
pub mod feed;
pub mod kafka;
pub mod postgres;
pub mod process;

//! Real services for tests: PostgreSQL, Kafka, the backend, AWS as emulators play it, and clients of them.

pub mod api;
pub mod aws;
pub mod backend;
pub mod ecs;
pub mod feed;
pub mod ground;
pub mod kafka;
pub mod lambda;
pub mod msk;
pub mod postgres;
pub mod process;
pub mod ran;
pub mod story;

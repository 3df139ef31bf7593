//! The backend through its door, on real PostgreSQL and real Kafka.

mod auth;
mod events;
mod faults;
mod health;
mod http;
mod page;
mod videos;

//! The backend through its door, on real PostgreSQL and real Kafka; and, last, as a part of the whole stack.

mod auth;
mod events;
mod faults;
mod health;
mod http;
mod page;
mod sockets;
mod story;
mod videos;

//! Reading and writing Kafka topics: following them, listing them, producing lines.
//!
//! Doors: [`tail::tail`], [`topics::list`], [`produce::produce`], all on a [`Connection`].

mod connection;
mod format;
mod json;
pub mod panel;
mod position;
pub mod produce;
mod reader;
mod record;
pub mod tail;
pub mod topics;

pub use connection::{Connection, brokers};
pub use format::{Format, Template};
pub use position::{From, Moment};

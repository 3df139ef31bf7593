//! The local stack: `streamify dev`.

mod client;
pub mod compose;
mod control;
mod doctor;
mod fetch;
mod kafka;
mod layout;
pub mod logs;
mod plan;
mod ports;
mod postgres;
mod process;
mod state;
mod supervisor;

pub use client::{Choice, Entry, Prospect, Running, Stack, running};
pub use doctor::{Finding, Grade, diagnose};
pub use plan::Step;
pub use ports::Wish;
pub use state::Phase;
pub use supervisor::run as supervise;

//! The Docker runtime, on a real daemon.

mod commands;
mod failures;
mod interop;
mod lifecycle;
pub mod support;

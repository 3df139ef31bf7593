//! The Docker runtime, on a real daemon.

mod app;
mod commands;
mod failures;
mod interop;
mod lifecycle;
mod rollout;
pub mod support;

//! The one integration binary: real programs, real services.

mod aws;
mod backend;
mod cli;
mod compose;
mod deploy;
mod docker;
mod image;
mod infra;
mod kafka;
mod lambda;
mod migrate;
mod rooms;
mod stack;
mod support;

//! Images: built without a daemon, pushed to a real registry, run by a real daemon.

mod broken;
mod build;
mod daemon;
mod ecr;
mod push;
mod resume;
mod support;
mod tls;
mod token;

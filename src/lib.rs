//! Streamify: a video app's backend and the tool that runs, ships and operates it.
//!
//! The rooms, and who may use whom (a test holds the code to it):
//!
//! | room | what it is | may use |
//! |---|---|---|
//! | [`cli`] | a file per command: arguments in, an outcome out | every room |
//! | [`settings`] | flags, environment, `streamify.yaml`, defaults, resolved once | failure |
//! | [`terminal`] | the only place that prints | failure, report |
//! | [`report`] | the vocabulary of progress | – |
//! | [`tty`] | the terminal as a device: raw mode, the window's size | failure |
//! | [`failure`] | what went wrong and the exit codes | – |
//! | [`stack`] | the local stack: plan, supervisor, services | settings, failure, report, tty |
//! | [`aws`] | the one place that makes AWS clients | settings, failure |
//! | [`terraform`] | the program Terraform or `OpenTofu`: found, checked, started | settings, failure |
//! | [`outputs`] | what Terraform tells of an environment | settings, terraform, failure |
//! | [`infra`] | Terraform's variables, plans, applies, costs and pictures | aws, settings, terraform, failure, report |
//! | [`secrets`] | an environment's secrets | aws, outputs, settings, failure, report |
//! | [`verify`] | everything a deploy depends on, looked at beforehand | aws, outputs, secrets, settings, failure, report |
//! | [`migrate`] | the database's schema | settings, failure, report |
//! | [`image`] | images without a daemon: built, pushed, looked at | settings, failure, report |
//! | [`deploy`] | ECS: render, compare, roll out, watch, take back | aws, outputs, secrets, settings, failure, report, tty |
//! | [`lambda`] | the backend as functions of AWS Lambda: its secrets, its connections | aws, secrets, settings, failure |
//! | [`kafka`] | reading topics, the panel | settings, failure, report |
//!
//! The backend is a crate of its own, `streamify_backend`, and knows nothing of these.

// Futures of the AWS SDK are nested deeply; an optimised build computes their layout whole.
#![recursion_limit = "256"]

pub mod aws;
pub mod cli;
pub mod deploy;
pub mod failure;
pub mod image;
pub mod infra;
pub mod kafka;
pub mod lambda;
pub mod migrate;
pub mod outputs;
pub mod report;
pub mod secrets;
pub mod settings;
pub mod stack;
pub mod terminal;
pub mod terraform;
pub mod tty;
pub mod verify;

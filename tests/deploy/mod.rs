//! Deploys against ECS as the tests' own server plays it; lock, history, logs and parameters are an emulator's.

mod demo;
mod endings;
mod killed;
mod operate;
mod race;
mod real;
mod way;
mod workflow;
pub mod world;

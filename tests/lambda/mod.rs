//! The app as functions of AWS Lambda, and deploys of them.

mod deploy;
mod events;
mod http;
mod websocket;
mod world;

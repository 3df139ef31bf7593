//! The local stack: `streamify dev`.

mod fetch;
mod kafka;
mod layout;
mod ports;
mod postgres;
mod process;
mod state;

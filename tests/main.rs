//! The one integration binary: real programs, real services.

mod backend;
mod cli;
mod rooms;
mod stack;

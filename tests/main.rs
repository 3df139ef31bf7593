//! The one integration binary: real programs, real services.

mod backend;
mod stack;
mod support;

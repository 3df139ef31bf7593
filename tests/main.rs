//! The one integration binary: real programs, real services.

mod stack;

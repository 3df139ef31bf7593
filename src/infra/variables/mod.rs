//! The variables of a Terraform root: what it declares, what `streamify.yaml` gives it, and whether both agree.

mod check;
mod root;
mod secrecy;
mod types;

pub use check::{Given, Source, check};
pub use root::{Declaration, Root};
pub use secrecy::Secrecy;

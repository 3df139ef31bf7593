//! The variables of a Terraform root, or of the CDK's app: what it declares, what `streamify.yaml` gives it, and whether both agree.

mod check;
mod described;
mod root;
mod secrecy;
mod types;

pub use check::{Given, Source, check};
pub use described::Described;
pub use root::{Declaration, Root};
pub use secrecy::Secrecy;

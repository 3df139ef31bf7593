//! Infrastructure as code: Terraform's variables from `streamify.yaml`, plans as data, and their way into the world.
//!
//! `variables`, `render`, `plan`, `cost` and `graph` are pure; `site` is where Terraform runs. What runs it, finds it and
//! keeps it from secrets is in `docs/decisions/0016-infra.md`.

pub mod cdk;
mod cost;
mod diagnostics;
mod graph;
mod plan;
mod render;
mod run;
mod saved;
mod site;
mod stream;
mod variables;

pub use cost::{Bill, Line as CostLine, Prices, bill};
pub use diagnostics::{Diagnostic, Lock};
pub use graph::{Form, Graph};
pub use plan::{Action, Change, MASK, Plan, Shown, resources};
pub use render::{BACKEND_FILE, Rendered, VARIABLES_FILE};
pub use saved::{Purpose, Saved};
pub use site::{Applied, Making, Planned, Site, Validation, rendered};

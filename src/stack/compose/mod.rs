//! The Compose format: files in, one checked [`Project`](model::Project) out.

pub mod model;

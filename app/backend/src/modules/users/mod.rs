//! Users: who they are.

mod model;
mod routes;
mod service;

pub(crate) use model::User;
pub(crate) use routes::router;

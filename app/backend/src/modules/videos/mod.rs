//! Videos: added by users, listed newest first, edited and deleted by their owners.

mod model;
mod routes;
mod service;

pub(crate) use routes::router;
pub(crate) use service::Turns;

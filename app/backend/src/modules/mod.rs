//! The app's domains, each with its routes, service and model.

pub(crate) mod auth;
pub(crate) mod events;
pub(crate) mod users;
pub(crate) mod videos;

//! The app's domains, each with its routes, service and model.

pub(crate) mod events;

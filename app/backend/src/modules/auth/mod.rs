//! Who is there: registration, login, refresh tokens, access tokens, and the layer that guards every route.

mod guard;
mod model;
mod password;
mod routes;
mod service;
mod token;

pub use guard::PUBLIC_ROUTES;
pub(crate) use guard::{CurrentUser, require_token};
pub(crate) use password::Passwords;
pub(crate) use routes::router;
pub(crate) use token::Tokens;

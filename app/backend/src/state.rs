use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::Config;
use crate::database::Database;
use crate::http::rate_limit::RateLimits;
use crate::modules::auth::{Passwords, Tokens};
use crate::modules::events::Events;
use crate::modules::videos;

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct State(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) config: Config,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) limits: RateLimits,
    pub(crate) events: Events,
    pub(crate) videos: videos::Turns,
    /// Whether the schema was found to be this binary's; see `http::health`.
    pub(crate) is_migrated: AtomicBool,
    /// Whether everything was there once.
    pub(crate) has_started: AtomicBool,
}

impl State {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }
}

impl std::ops::Deref for State {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

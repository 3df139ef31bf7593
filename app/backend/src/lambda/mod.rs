//! The app as functions of AWS Lambda: the same router, services and tables as [`crate::serve`], without anything in
//! the background, since a function is frozen between two invocations.
//!
//! | function | invoked by | what it does |
//! |---|---|---|
//! | [`serve_http`] | an HTTP API (payload 2.0) | answers requests, and publishes what they wrote before it answers |
//! | [`serve_websocket`] | a WebSocket API | the protocol of `/ws`, with connections kept by [`Sockets`] |
//! | [`serve_events`] | Kafka, a schedule, a deploy | posts events to connections; publishes what is left; migrates |
//!
//! The payloads: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop.html> and
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kafka-process.html>.

mod delivery;
mod events;
mod http;
mod kafka;
mod sockets;
mod websocket;

use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

pub use events::{Migrate, serve_events};
pub use http::serve_http;
pub use sockets::{Address, Follow, Posted, Socket, Sockets};
pub use websocket::serve_websocket;

use crate::config::Config;
use crate::modules::events::{Events, Outlet};
use crate::state::State;
use crate::{Error, serve};

/// What an invocation keeps of its time to tell how it ended.
const RESERVE: Duration = Duration::from_millis(500);

/// What the functions share.
struct App {
    state: State,
    outlet: Outlet,
}

impl App {
    /// Connects to nothing yet: that is the first request's part, in parallel to what it has to do anyway.
    fn new(config: Config) -> Result<Self, Error> {
        let events = Events::at_rest(&config);
        let outlet = Outlet::new(pool(&config, 1, "streamify-relay", "off"), config.kafka.clone());
        let connections = config.database_connections.saturating_sub(1).max(1);
        let pool = pool(&config, connections, "streamify-api", "on");
        Ok(Self { state: serve::state(config, pool, events)?, outlet })
    }

    /// Begins an invocation. Connections may have been closed while the function was frozen: each is asked before it
    /// is used again.
    fn wake(&self) {
        self.state.database.put_back_all();
    }
}

fn pool(config: &Config, most: u32, name: &str, synchronous_commit: &str) -> PgPool {
    let options =
        config.database.options().application_name(name).options([("synchronous_commit", synchronous_commit)]);
    PgPoolOptions::new().max_connections(most).acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options)
}

/// How long an invocation may still work.
fn left(context: &Context) -> Duration {
    context.deadline().duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(RESERVE)
}

/// The words of a runtime's end.
fn ended(result: Result<(), lambda_runtime::Error>) -> Result<(), Error> {
    result.map_err(|error| Error::Lambda(error.to_string()))
}

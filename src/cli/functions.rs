//! `serve --lambda`: which function of AWS Lambda this process is, and what it needs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use streamify_backend::{DatabaseConfig, MIGRATOR, lambda as backend};

use super::serve::{config, served, start_log};
use super::{Context, Outcome};
use crate::failure::Result;
use crate::lambda::{Connections, Function, resolve};
use crate::migrate::Schema;
use crate::report::{Event, Report};
use crate::settings::Settings;

/// Each copy of a function works on one request at a time.
const CONNECTIONS: u32 = 3;
/// How long a migration waits for another one.
const LOCK: Duration = Duration::from_secs(60);

pub(super) async fn run(context: &Context) -> Result<Outcome> {
    let function = Function::of(&context.environment)?;
    // Before the settings: what they are made of comes from there.
    let environment = resolve(&context.environment).await?;
    let settings = Settings::load(&context.flags, &environment)?;
    start_log(&settings)?;
    let mut config = config(&settings).await?;
    config.database_connections = config.database_connections.min(CONNECTIONS);
    let serving = async {
        match function {
            Function::Http => served(backend::serve_http(config).await),
            Function::WebSocket => {
                served(backend::serve_websocket(config, Arc::new(Connections::of(&environment).await?)).await)
            }
            Function::Events => {
                let connections = Arc::new(Connections::of(&environment).await?);
                let database = config.database.clone();
                let migrate = Box::new(move || -> BoxFuture<'static, _> { Box::pin(migrate(database.clone())) });
                served(backend::serve_events(config, connections, migrate).await)
            }
        }
    };
    tokio::select! {
        ended = serving => ended?,
        // Between two invocations there is nothing to finish, and Lambda does not wait for long.
        () = context.interrupt.cancelled() => {}
    }
    Ok(Outcome::Done)
}

/// What `migrate run` does.
async fn migrate(database: DatabaseConfig) -> std::result::Result<Vec<i64>, String> {
    let report: Arc<dyn Report> = Arc::new(Logged);
    let applied = async { Schema::connect(&MIGRATOR, &database).await?.run(None, LOCK, &report).await };
    applied.await.map_err(|failure| {
        let mut text = failure.to_string();
        for hint in &failure.hints {
            text.push('\n');
            text.push_str(hint);
        }
        text
    })
}

/// Progress as lines of the log: a function has no terminal.
struct Logged;

impl Report for Logged {
    fn event(&self, event: Event) {
        match event {
            Event::Finished { name, how, took } => {
                tracing::info!(name, how, milliseconds = took.as_secs_f64() * 1_000.0, "migration");
            }
            Event::Failed { name, why } => tracing::error!(name, why, "migration"),
            Event::Note(text) | Event::Warning(text) | Event::Hint(text) => tracing::warn!(text, "migration"),
            Event::Started { .. } | Event::Doing { .. } | Event::Advanced { .. } | Event::Line { .. } => {}
        }
    }
}

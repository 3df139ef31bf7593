use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Listeners};
use crate::database::Database;
use crate::http;
use crate::http::rate_limit::RateLimits;
use crate::modules::auth::{Passwords, Tokens};
use crate::modules::events::Events;
use crate::modules::videos;
use crate::state::{Inner, State};

/// How long connections may take to close.
const CLOSE: Duration = Duration::from_secs(2);

/// Why the backend can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database's address can't be read: {0}")]
    Database(#[source] sqlx::Error),
    #[error("there is no signing key")]
    NoKey,
    #[error("can't hash passwords: {0}")]
    Passwords(String),
    #[error("{0}")]
    Setting(String),
    #[error("can't serve: {0}")]
    Serve(#[from] std::io::Error),
}

/// Runs the API, the events and the WebSocket until `shutdown`; then finishes requests in flight and sends what the
/// outbox holds, for at most the configured grace.
///
/// It answers at once, with PostgreSQL or Kafka away: `/health/ready` says what it waits for. Migrations are not run.
///
/// # Errors
/// A configuration that can't work, or a socket that breaks.
pub async fn serve(config: Config, listeners: Listeners, shutdown: CancellationToken) -> Result<(), Error> {
    let metrics = http::metrics::install()?;
    let options = PgConnectOptions::from_str(config.database_url.expose())
        .map_err(Error::Database)?
        .application_name("streamify-api");
    let pool = PgPoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(Duration::from_secs(5))
        // A ping before every use costs a round trip; a broken connection is replaced at its first error.
        .test_before_acquire(false)
        .connect_lazy_with(options);
    let tokens = Tokens::new(&config.jwt).ok_or(Error::NoKey)?;
    let passwords = Passwords::new().map_err(Error::Passwords)?;
    let limits = RateLimits::new(config.logins_per_minute);
    // The events end after the requests: what those write is still to be sent.
    let events_shutdown = CancellationToken::new();
    let (events, running) = Events::start(&config, &events_shutdown).map_err(Error::Database)?;
    let grace = config.shutdown_grace;
    let state = State::new(Inner {
        database: Database::new(pool),
        config,
        tokens,
        passwords,
        limits,
        events,
        videos: videos::Turns::default(),
        is_migrated: AtomicBool::new(false),
    });

    let router = http::router(state.clone())?;
    let kept = tokio::spawn(http::metrics::keep(metrics.clone(), shutdown.clone()));
    let metrics_server = listeners.metrics.map(|listener| {
        let (router, shutdown) = (http::metrics::router(metrics, state.clone()), shutdown.clone());
        tokio::spawn(
            async move { axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await },
        )
    });
    let served = run(listeners.api, router, &shutdown, grace).await;
    events_shutdown.cancel();
    if tokio::time::timeout(grace + Duration::from_secs(5), running.finish()).await.is_err() {
        tracing::warn!("not everything ended in time");
    }
    kept.abort();
    if let Some(server) = metrics_server {
        server.abort();
    }
    if tokio::time::timeout(CLOSE, state.database.close()).await.is_err() {
        tracing::warn!("connections to PostgreSQL were still in use at the end");
    }
    served.map_err(Error::Serve)
}

/// Serves until `shutdown`, and then what is in flight for at most `grace`.
pub(crate) async fn run(
    listener: TcpListener,
    router: axum::Router,
    shutdown: &CancellationToken,
    grace: Duration,
) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    // Small answers must not wait for more to come.
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "can't switch Nagle's algorithm off");
        }
    });
    let server = axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let in_time = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = server => served,
        () = in_time => {
            tracing::warn!("requests were still in flight at the end of the grace");
            Ok(())
        }
    }
}

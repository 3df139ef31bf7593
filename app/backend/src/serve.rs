use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::config::{Config, Listeners};
use crate::database::Database;
use crate::http;
use crate::http::rate_limit::RateLimits;
use crate::modules::auth::{Passwords, Tokens};
use crate::modules::events::Events;
use crate::modules::videos;
use crate::state::{Inner, State};

/// How long the head of a request may take, and how long a connection may be idle before it: longer than load balancers
/// keep idle ones (60 s), which would otherwise send a request into a connection that is being closed.
const HEAD_WAIT: Duration = Duration::from_secs(75);
/// The pause after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long connections may take to close.
const CLOSE: Duration = Duration::from_secs(2);

/// Why the backend can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no signing key")]
    NoKey,
    #[error("can't hash passwords: {0}")]
    Passwords(String),
    #[error("{0}")]
    Setting(String),
    #[error("AWS Lambda's runtime: {0}")]
    Lambda(String),
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
    let options = config.database.options().application_name("streamify-api");
    let pool = PgPoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(Duration::from_secs(5))
        // A ping before every use costs a round trip; a broken connection is replaced at its first error.
        .test_before_acquire(false)
        .connect_lazy_with(options);
    // The events end after the requests: what those write is still to be sent.
    let events_shutdown = CancellationToken::new();
    let (events, running) = Events::start(&config, &events_shutdown)?;
    let grace = config.shutdown_grace;
    let state = state(config, pool, events)?;
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

/// What every handler reaches, however the app is run.
pub(crate) fn state(config: Config, pool: PgPool, events: Events) -> Result<State, Error> {
    let tokens = Tokens::new(&config.jwt).ok_or(Error::NoKey)?;
    let passwords = Passwords::new().map_err(Error::Passwords)?;
    let limits = RateLimits::new(config.logins_per_minute);
    Ok(State::new(Inner {
        database: Database::new(pool),
        config,
        tokens,
        passwords,
        limits,
        events,
        videos: videos::Turns::default(),
        is_migrated: AtomicBool::new(false),
        has_started: AtomicBool::new(false),
    }))
}

/// Serves until `shutdown`, and then what is in flight for at most `grace`.
pub(crate) async fn run(
    listener: TcpListener,
    router: axum::Router,
    shutdown: &CancellationToken,
    grace: Duration,
) -> std::io::Result<()> {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                // A client that went away meanwhile is nothing; too many open files passes when others close theirs.
                if !matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
                    tracing::warn!(%error, "can't take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        // Small answers must not wait for more to come.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "can't switch Nagle's algorithm off");
        }
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = server.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let served = tokio::select! {
                served = connection.as_mut() => served,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!("requests were still in flight at the end of the grace");
    }
    Ok(())
}

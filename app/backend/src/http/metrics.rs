//! Figures for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::state::State;

/// Upper bounds of the histogram of durations, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Samples of histograms gather in memory until somebody counts them.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the process's recorder; a second server of the same process gets the first one's.
///
/// # Errors
/// Somebody else has installed a recorder.
pub(crate) fn install() -> Result<PrometheusHandle, Error> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    let install = || {
        let duration = Matcher::Full("http_request_duration_seconds".into());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(duration, &BUCKETS);
        let handle = builder.and_then(PrometheusBuilder::install_recorder).map_err(|error| error.to_string())?;
        describe_counter!("http_requests_total", "Requests answered");
        describe_histogram!("http_request_duration_seconds", Unit::Seconds, "Time until a request was answered");
        describe_gauge!("database_connections", "Connections to PostgreSQL, by state");
        describe_counter!("refresh_tokens_reused_total", "Refresh tokens that came a second time");
        Ok(handle)
    };
    HANDLE.get_or_init(install).clone().map_err(|error| Error::Setting(format!("metrics: {error}")))
}

/// Counts an answer.
pub(super) fn answered(method: &'static str, route: &str, status: StatusCode, elapsed: Duration) {
    let labels = [
        ("method", metrics::SharedString::const_str(method)),
        ("route", metrics::SharedString::from_owned(route.to_owned())),
        ("status", metrics::SharedString::from_owned(status.as_str().to_owned())),
    ];
    histogram!("http_request_duration_seconds", &labels[..2]).record(elapsed);
    counter!("http_requests_total", &labels).increment(1);
}

/// Keeps the recorder's memory bounded until `shutdown`, whether or not anybody reads the figures.
pub(crate) async fn keep(handle: PrometheusHandle, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

/// `GET /metrics`, for a listener of its own: the figures are not for the public.
pub(crate) fn router(handle: PrometheusHandle, state: State) -> Router {
    let render = move || async move {
        let (busy, idle) = state.database.counts();
        gauge!("database_connections", "state" => "busy").set(busy as f64);
        gauge!("database_connections", "state" => "idle").set(idle as f64);
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
    };
    Router::new().route("/metrics", get(render))
}

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::State;

/// How long one dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the backend can do its work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// Each dependency: `postgres`, `migrations`, `kafka`.
    checks: BTreeMap<&'static str, Check>,
}

/// One dependency.
#[derive(Serialize, ToSchema)]
struct Check {
    /// `ok` or `failed`.
    status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<Result<(), String>> for Check {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self { status: "ok", detail: None },
            Err(detail) => Self { status: "failed", detail: Some(detail) },
        }
    }
}

pub(super) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// Whether the process answers
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses((status = 200, description = "It does")))]
async fn live() -> &'static str {
    "ok"
}

/// Whether PostgreSQL, its migrations and Kafka are there
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()), responses(
    (status = 200, description = "All are", body = Readiness),
    (status = 503, description = "Some are not; says which", body = Readiness),
))]
async fn ready(Extract(state): Extract<State>) -> (StatusCode, Json<Readiness>) {
    let in_time = |name: &'static str| move |_| Err(format!("{name} does not answer in {} s", PATIENCE.as_secs()));
    let (database, kafka) = tokio::join!(
        tokio::time::timeout(PATIENCE, database(&state)),
        tokio::time::timeout(PATIENCE, state.events.kafka_ready()),
    );
    let (postgres, migrations) = match database {
        Ok(Ok(pending)) => (Ok(()), pending),
        // The reason is logged, not told: it may hold addresses.
        Ok(Err(error)) => {
            tracing::debug!(%error, "PostgreSQL is not ready");
            (Err("PostgreSQL can't be reached".to_owned()), Err("not known without PostgreSQL".to_owned()))
        }
        Err(_) => (Err("PostgreSQL does not answer".to_owned()), Err("not known without PostgreSQL".to_owned())),
    };
    let kafka = kafka.unwrap_or_else(in_time("Kafka"));
    let is_ready = postgres.is_ok() && migrations.is_ok() && kafka.is_ok();
    let checks = BTreeMap::from([
        ("postgres", Check::from(postgres)),
        ("migrations", Check::from(migrations)),
        ("kafka", Check::from(kafka)),
    ]);
    let (code, status) =
        if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    (code, Json(Readiness { status, checks }))
}

/// Asks PostgreSQL whether it answers, and whether the schema is this binary's.
async fn database(state: &State) -> Result<Result<(), String>, sqlx::Error> {
    let pool = &state.pool;
    // Migrations are not taken back under a running backend: found applied once is enough.
    if state.migrated.load(Ordering::Relaxed) {
        sqlx::query("select 1").execute(pool).await?;
        return Ok(Ok(()));
    }
    let table = sqlx::query_scalar::<_, bool>("select to_regclass('_sqlx_migrations') is not null");
    let applied: Vec<i64> = if table.fetch_one(pool).await? {
        sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(pool).await?
    } else {
        Vec::new()
    };
    let known = crate::MIGRATOR.iter().filter(|migration| migration.migration_type.is_up_migration());
    let pending = known.filter(|migration| !applied.contains(&migration.version)).count();
    if pending > 0 {
        return Ok(Err(format!("{pending} migrations are pending: streamify migrate run")));
    }
    state.migrated.store(true, Ordering::Relaxed);
    Ok(Ok(()))
}

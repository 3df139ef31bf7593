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
    /// Each dependency that was asked: `postgres`, `migrations`, `kafka`.
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
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(started))
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
    readiness(&state).await
}

/// Whether everything was there once since the process began
///
/// A check for whoever replaces what fails it: a new version counts only once it could do its work, and an outage of
/// PostgreSQL or Kafka, which another process would suffer from as well, is no reason to end this one.
#[utoipa::path(get, path = "/health/started", tag = "health", security(()), responses(
    (status = 200, description = "It was, or it is", body = Readiness),
    (status = 503, description = "It is not yet; says what is missing", body = Readiness),
))]
async fn started(Extract(state): Extract<State>) -> (StatusCode, Json<Readiness>) {
    if state.has_started.load(Ordering::Relaxed) {
        return (StatusCode::OK, Json(Readiness { status: "ready", checks: BTreeMap::new() }));
    }
    readiness(&state).await
}

async fn readiness(state: &State) -> (StatusCode, Json<Readiness>) {
    let in_time = |name: &'static str| move |_| Err(format!("{name} does not answer in {} s", PATIENCE.as_secs()));
    let (database, kafka) = tokio::join!(
        tokio::time::timeout(PATIENCE, database(state)),
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
    if is_ready {
        state.has_started.store(true, Ordering::Relaxed);
    }
    let (code, status) =
        if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    (code, Json(Readiness { status, checks }))
}

/// Asks PostgreSQL whether it answers, and whether the schema is this binary's.
async fn database(state: &State) -> Result<Result<(), String>, sqlx::Error> {
    let mut connection = state.database.take().await?;
    // Migrations are not taken back under a running backend: found applied once is enough.
    if state.is_migrated.load(Ordering::Relaxed) {
        sqlx::query("select 1").execute(&mut *connection).await?;
        connection.keep();
        return Ok(Ok(()));
    }
    let table = sqlx::query_scalar::<_, bool>("select to_regclass('_sqlx_migrations') is not null");
    let applied: Vec<(i64, Vec<u8>)> = if table.fetch_one(&mut *connection).await? {
        let rows = sqlx::query_as("select version, checksum from _sqlx_migrations where success");
        rows.fetch_all(&mut *connection).await?
    } else {
        Vec::new()
    };
    connection.keep();
    let found = compare(&applied);
    state.is_migrated.store(found.is_ok(), Ordering::Relaxed);
    Ok(found)
}

/// Whether the applied migrations (version and checksum) are those of this binary. Newer ones are no reason not to
/// work: during a rollout the next version's migrations are there before it is.
fn compare(applied: &[(i64, Vec<u8>)]) -> Result<(), String> {
    let mut pending = 0;
    for migration in crate::MIGRATOR.iter().filter(|migration| migration.migration_type.is_up_migration()) {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => pending += 1,
            Some((_, checksum)) if **checksum != *migration.checksum => {
                let version = migration.version;
                return Err(format!("migration {version} is not the one that was applied: streamify migrate status"));
            }
            Some(_) => {}
        }
    }
    match pending {
        0 => Ok(()),
        1 => Err("1 migration is pending: streamify migrate run".to_owned()),
        several => Err(format!("{several} migrations are pending: streamify migrate run")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied() -> Vec<(i64, Vec<u8>)> {
        let up = crate::MIGRATOR.iter().filter(|migration| migration.migration_type.is_up_migration());
        up.map(|migration| (migration.version, migration.checksum.to_vec())).collect()
    }

    #[test]
    fn the_schema_must_be_the_one_of_this_binary() {
        assert_eq!(compare(&applied()), Ok(()));
        let mut newer = applied();
        newer.push((9_999, vec![1]));
        assert_eq!(compare(&newer), Ok(()), "a rollout is on its way");
        let mut older = applied();
        older.pop();
        assert_eq!(compare(&older), Err("1 migration is pending: streamify migrate run".to_owned()));
        let mut changed = applied();
        changed[0].1[0] ^= 1;
        assert!(compare(&changed).is_err_and(|why| why.contains("migration 1 is not the one")));
    }
}

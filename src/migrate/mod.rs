//! The database's schema: which migrations are applied, which are to be, and each way in which that can be wrong.
//!
//! The migrations are a parameter; the statements, the table of applied ones and the lock are sqlx's own, so the
//! backend's start and this room exclude each other.

pub mod add;
pub mod check;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use streamify_backend::DatabaseConfig;

use crate::failure::{Failure, Result};
use crate::report::Report;

pub use plan::{Applied, State, Step};

/// Where sqlx remembers what was applied.
const TABLE: &str = "_sqlx_migrations";
/// How long the database may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection to one database, and the migrations that belong to it.
pub struct Schema<'a> {
    migrator: &'a Migrator,
    options: PgConnectOptions,
    connection: PgConnection,
}

impl<'a> Schema<'a> {
    /// Connects.
    ///
    /// # Errors
    /// The database does not answer, or does not let us in.
    pub async fn connect(migrator: &'a Migrator, database: &DatabaseConfig) -> Result<Self> {
        let options = database.options().application_name("streamify migrate");
        let connection = connect(&options).await?;
        Ok(Self { migrator, options, connection })
    }

    /// What is applied, in order; nothing where no migration ever ran.
    async fn applied(&mut self) -> Result<Vec<Applied>> {
        let there: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| unreadable(&error))?;
        if !there {
            return Ok(Vec::new());
        }
        let rows: Vec<(i64, String, String, bool, Vec<u8>, i64)> = sqlx::query_as(
            "select version, description, to_char(installed_on at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                    success, checksum, execution_time
             from _sqlx_migrations order by version",
        )
        .fetch_all(&mut self.connection)
        .await
        .map_err(|error| unreadable(&error))?;
        let applied = rows.into_iter().map(|(version, description, at, success, checksum, nanoseconds)| Applied {
            version,
            description,
            at,
            success,
            checksum,
            took: u64::try_from(nanoseconds).ok().map(Duration::from_nanos),
        });
        Ok(applied.collect())
    }

    /// Every migration, known or applied, with its state.
    pub async fn status(&mut self) -> Result<Vec<Step>> {
        Ok(plan::status(self.migrator, &self.applied().await?))
    }

    /// What `run` would apply, in order.
    pub async fn pending(&mut self, to: Option<i64>) -> Result<Vec<&'a Migration>> {
        plan::pending(self.migrator, &self.applied().await?, to)
    }

    /// What `revert` would take back, newest first: the newest one, or all above `to`.
    pub async fn revertible(&mut self, to: Option<i64>) -> Result<Vec<&'a Migration>> {
        plan::revertible(self.migrator, &self.applied().await?, to)
    }

    /// Applies what is pending, alone: others wait for the lock and then find nothing to do.
    pub async fn run(&mut self, to: Option<i64>, lock: Duration, report: &Arc<dyn Report>) -> Result<Vec<i64>> {
        self.lock(lock, report).await?;
        let result = self.run_locked(to, report).await;
        self.unlock().await;
        result
    }

    async fn run_locked(&mut self, to: Option<i64>, report: &Arc<dyn Report>) -> Result<Vec<i64>> {
        self.connection.ensure_migrations_table(TABLE).await.map_err(|error| unapplied(&error, None))?;
        let mut done = Vec::new();
        // Asked again under the lock: another replica may just have applied them.
        for migration in self.pending(to).await? {
            let name = plan::name(migration);
            report.started(&name, "applying");
            match self.connection.apply(TABLE, migration).await {
                Ok(took) => report.finished(&name, "applied", took),
                Err(error) => {
                    report.failed(&name, "not applied");
                    return Err(unapplied(&error, Some(migration)));
                }
            }
            done.push(migration.version);
        }
        Ok(done)
    }

    /// Takes back the `agreed` migrations, newest first.
    ///
    /// # Errors
    /// What is to be taken back is not what was agreed to: another run came in between.
    pub async fn revert(
        &mut self,
        agreed: &[i64],
        to: Option<i64>,
        lock: Duration,
        report: &Arc<dyn Report>,
    ) -> Result<Vec<i64>> {
        self.lock(lock, report).await?;
        let result = self.revert_locked(agreed, to, report).await;
        self.unlock().await;
        result
    }

    async fn revert_locked(&mut self, agreed: &[i64], to: Option<i64>, report: &Arc<dyn Report>) -> Result<Vec<i64>> {
        let wanted = self.revertible(to).await?;
        if !wanted.iter().map(|migration| migration.version).eq(agreed.iter().copied()) {
            return Err(Failure::failed("the migrations changed while you were asked; nothing was taken back")
                .hint("Look at `streamify migrate status`, then try again"));
        }
        let mut done = Vec::new();
        for migration in wanted {
            let name = plan::name(migration);
            report.started(&name, "reverting");
            match self.connection.revert(TABLE, migration).await {
                Ok(took) => report.finished(&name, "reverted", took),
                Err(error) => {
                    report.failed(&name, "not reverted");
                    return Err(unapplied(&error, Some(migration)));
                }
            }
            done.push(migration.version);
        }
        Ok(done)
    }

    /// Waits for the lock; whoever holds it is named after a second.
    async fn lock(&mut self, patience: Duration, report: &Arc<dyn Report>) -> Result<()> {
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| unreadable(&error))?;
        let options = self.options.clone();
        let mut locked = self.connection.lock();
        let first = patience.min(Duration::from_secs(1));
        let mut outcome = tokio::time::timeout(first, &mut locked).await;
        let mut holder = None;
        if outcome.is_err() {
            holder = who_blocks(&options, pid).await;
            let who = holder.as_deref().unwrap_or("another session");
            report.note(&format!("waiting for the migration lock, held by {who}"));
            outcome = tokio::time::timeout(patience.saturating_sub(first), &mut locked).await;
        }
        match outcome {
            Ok(result) => result.map_err(|error| Failure::failed("can't take the migration lock").because(&error)),
            Err(_) => Err(Failure::timed_out("another migration is still going on")
                .cause(format!("the lock is held by {}", holder.as_deref().unwrap_or("another session")))
                .hint("Wait longer with --lock-timeout SECONDS, or end that session with pg_terminate_backend(pid)")),
        }
    }

    /// The lock belongs to the session: where unlocking fails, the end of the session does it.
    async fn unlock(&mut self) {
        drop(self.connection.unlock().await);
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let hint = "Is the local stack up? Start it with: streamify dev up. Another database: DATABASE_URL, or DATABASE_HOST and its like";
    match tokio::time::timeout(ANSWER, PgConnection::connect_with(&options.clone().disable_statement_logging())).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            Err(Failure::unreachable(format!("can't connect to the database at {place}")).because(&error).hint(hint))
        }
        Err(_) => Err(Failure::unreachable(format!("the database at {place} does not answer"))
            .cause(format!("no answer in {} s", ANSWER.as_secs()))
            .hint(hint)),
    }
}

/// Who stands in the way of a session, in words.
async fn who_blocks(options: &PgConnectOptions, pid: i32) -> Option<String> {
    let mut connection = connect(options).await.ok()?;
    sqlx::query_scalar(
        "select format('process %s (%s of %s, from %s, since %s)', pid, coalesce(nullif(application_name, ''), 'no name'),
                usename, coalesce(host(client_addr), 'this machine'), to_char(backend_start, 'HH24:MI:SS'))
         from pg_stat_activity where pid = any(pg_blocking_pids($1)) limit 1",
    )
    .bind(pid)
    .fetch_optional(&mut connection)
    .await
    .ok()
    .flatten()
}

fn unreadable(error: &sqlx::Error) -> Failure {
    Failure::failed("can't read the applied migrations").because(error)
}

fn unapplied(error: &MigrateError, migration: Option<&Migration>) -> Failure {
    let Some(migration) = migration else {
        return Failure::failed("can't prepare the table of migrations").because(error);
    };
    let mut failure = Failure::failed(format!("the migration {} failed", plan::name(migration)));
    match error {
        MigrateError::ExecuteMigration(error, _) => {
            failure = failure.because(error);
            if let sqlx::Error::Database(database) = error
                && let Some(postgres) = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
            {
                if let Some(sqlx::postgres::PgErrorPosition::Original(position)) = postgres.position() {
                    let (line, column) = plan::place(migration.sql.as_str(), position.saturating_sub(1));
                    failure = failure.cause(format!("at line {line}, column {column} of the file"));
                }
                for (word, text) in [("detail", postgres.detail()), ("hint", postgres.hint())] {
                    if let Some(text) = text {
                        failure = failure.cause(format!("{word}: {text}"));
                    }
                }
            }
        }
        other => failure = failure.because(other),
    }
    if migration.no_tx {
        failure.hint("It runs without a transaction: what it did before the error is still there. Mend that by hand.")
    } else {
        failure.hint("Nothing of it was kept. Mend the file and run it again.")
    }
}

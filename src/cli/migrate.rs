use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use streamify_backend::{DatabaseConfig, MIGRATOR};

use super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::migrate::check::{Finding, Rule};
use crate::migrate::{self, Schema, State, add};
use crate::stack;
use crate::terminal::{Paint, Table};

/// Bring the database's schema up to date, look at it, or take it back
///
/// Works on DATABASE_URL, or DATABASE_HOST and its like, or on the running local stack's database.
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Apply what is pending
    ///
    /// Many replicas may run it at once: one works, the others wait and then find nothing to do.
    #[command(after_help = "Examples:\n  streamify migrate run\n  streamify migrate run --dry-run")]
    Run {
        /// Print the SQL and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Show each migration and whether it is applied
    #[command(after_help = "Example:\n  streamify migrate status --exit-code || streamify migrate run")]
    Status {
        /// Exit with 3 when a migration is pending
        #[arg(long)]
        exit_code: bool,
    },
    /// Take back the newest migration, or all above --to
    #[command(after_help = "Examples:\n  streamify migrate revert --dry-run\n  streamify migrate revert --to 1")]
    Revert {
        /// Print the SQL and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Begin a new migration: two numbered files, one for each way
    #[command(after_help = "Example:\n  streamify migrate add 'videos get a duration'")]
    Add {
        /// What it does, in a few words
        name: String,
        /// Where the migrations are
        #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
        folder: PathBuf,
    },
    /// Find what locks, breaks or destroys while the app runs, with the safer way
    ///
    /// Needs no database. It looks at the migrations as they would run on a live app whose old version still serves:
    /// what blocks reads or writes for long, what old queries fail on, what is lost for good, and what PostgreSQL or
    /// sqlx would refuse. Tables that a migration makes itself are nobody's yet: what it does to them is fine.
    ///
    /// Exits with 1 when something is found.
    #[command(after_long_help = check_help())]
    Check {
        /// Only migrations after this version
        #[arg(long, value_name = "VERSION")]
        since: Option<i64>,
        /// Where the migrations are
        #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
        folder: PathBuf,
    },
}

/// Where this project's migrations are.
const FOLDER: &str = "app/backend/migrations";

fn check_help() -> String {
    let rules = Rule::ALL.iter().map(|rule| format!("  {rule:28} {}\n", rule.summary()));
    format!(
        "Rules:\n{}\nWhat does no harm in your case, allow with a reason, above its statement:\n  \
         -- streamify:allow drop-column no version has used it since 2.3\n  \
         alter table videos drop column rating;\n\
         An applied migration is never edited, not even for that: leave it out with --since.\n\n\
         Examples:\n  streamify migrate check\n  streamify migrate check --since 12\n  \
         streamify migrate check --output json | jq -r '.findings[].rule'",
        rules.collect::<String>()
    )
}

/// How far to go, and how long to wait for others.
#[derive(clap::Args, Debug)]
struct Reach {
    /// Stop at this version
    #[arg(long, value_name = "VERSION")]
    to: Option<i64>,
    /// Seconds to wait for another run to end
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    lock_timeout: u64,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let report = context.terminal.report();
    match &arguments.command {
        Command::Add { name, folder } => {
            let files = add::add(&context.settings()?.directory.join(folder), name)?;
            let names = files.each_ref().map(|file| file.display().to_string());
            context.terminal.result(|paint| format!("{} wrote {}", paint.good("✔"), names.join("\n  and ")), &names)?;
        }
        Command::Check { since, folder } => check(context, folder, *since)?,
        Command::Status { exit_code } => return status(context, *exit_code).await,
        Command::Run { dry_run, reach } => {
            let mut schema = connect(context).await?;
            if *dry_run {
                let pending = schema.pending(reach.to).await?;
                return print_sql(context, pending.iter().map(|one| (one.version, one.sql.as_str())), "pending");
            }
            let done = schema.run(reach.to, Duration::from_secs(reach.lock_timeout), &report).await?;
            tell(context, "applied", &done)?;
        }
        Command::Revert { dry_run, reach } => {
            let mut schema = connect(context).await?;
            let wanted = schema.revertible(reach.to).await?;
            if *dry_run {
                return print_sql(context, wanted.iter().map(|one| (one.version, one.sql.as_str())), "applied");
            }
            let agreed: Vec<i64> = wanted.iter().map(|one| one.version).collect();
            let count = agreed.len();
            if count > 0
                && !context.terminal.confirm(&format!("Take back {count} migrations, with the data they hold?"))?
            {
                return Err(Failure::failed("nothing was taken back"));
            }
            let done = schema.revert(&agreed, reach.to, Duration::from_secs(reach.lock_timeout), &report).await?;
            tell(context, "reverted", &done)?;
        }
    }
    Ok(Outcome::Done)
}

async fn connect(context: &Context) -> Result<Schema<'static>> {
    let settings = context.settings()?;
    let local = || stack::running(settings).and_then(|stack| DatabaseConfig::of_url(&stack.database_url));
    let database = match settings.database.named()?.or_else(local) {
        Some(database) => database,
        None => settings
            .database
            .required()
            .map_err(|failure| failure.hint("Or start the local stack: streamify dev up"))?,
    };
    Schema::connect(&MIGRATOR, &database).await
}

fn tell(context: &Context, how: &str, done: &[i64]) -> Result<()> {
    context.terminal.result(
        |paint| match done.len() {
            0 => format!("{} nothing to do", paint.good("✔")),
            1 => format!("{} 1 migration {how}", paint.good("✔")),
            count => format!("{} {count} migrations {how}", paint.good("✔")),
        },
        &json!({ how: done }),
    )
}

fn print_sql<'a>(context: &Context, migrations: impl Iterator<Item = (i64, &'a str)>, none: &str) -> Result<Outcome> {
    let all: Vec<_> = migrations.map(|(version, sql)| json!({ "version": version, "sql": sql })).collect();
    context.terminal.result(
        |_| {
            let texts = all.iter().map(|one| one["sql"].as_str().unwrap_or_default().trim_end().to_owned());
            let text = texts.collect::<Vec<_>>().join("\n\n");
            if text.is_empty() { format!("-- no migration is {none}") } else { text }
        },
        &all,
    )?;
    Ok(Outcome::Done)
}

async fn status(context: &Context, exit_code: bool) -> Result<Outcome> {
    let steps = connect(context).await?.status().await?;
    context.terminal.result(
        |paint| {
            let mut table = Table::new(["version", "migration", "state", "applied at", "took"]);
            for step in &steps {
                let word = serde_json::to_value(step.state).ok();
                let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
                let state = match step.state {
                    State::Applied => paint.good(word),
                    State::Pending => paint.warning(word),
                    _ => paint.bad(word),
                };
                let took = step.seconds.map_or_else(String::new, |seconds| format!("{:.0} ms", seconds * 1_000.0));
                let at = step.applied_at.clone().unwrap_or_default();
                table.row([step.version.to_string(), step.name.clone(), state, at, took]);
            }
            table.text()
        },
        &steps,
    )?;
    let is_pending = steps.iter().any(|step| step.state == State::Pending);
    Ok(if exit_code && is_pending { Outcome::Difference } else { Outcome::Done })
}

fn check(context: &Context, folder: &Path, since: Option<i64>) -> Result<()> {
    let checked = migrate::check::check(&context.settings()?.directory, folder, since)?;
    let count = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let migrations = count(checked.migrations, "migration");
    context.terminal.result(
        |paint| match checked.findings.as_slice() {
            [] => format!("{} {migrations} checked, nothing found", paint.good("✔")),
            findings => findings.iter().map(|finding| describe(paint, finding)).collect::<Vec<_>>().join("\n\n"),
        },
        &checked,
    )?;
    if checked.findings.is_empty() {
        return Ok(());
    }
    let failure = Failure::failed(format!("{migrations} checked, {}", count(checked.findings.len(), "finding")));
    Err(failure.hint("What does no harm here: -- streamify:allow RULE reason, above its statement"))
}

fn describe(paint: Paint, finding: &Finding) -> String {
    let Finding { file, line, column, rule, source, what, safer } = finding;
    let place = paint.strong(format!("{file}:{line}:{column}"));
    let source = if source.is_empty() { String::new() } else { format!("\n  {}", paint.dim(source)) };
    let (does, instead) = (paint.warning("does: "), paint.good("safer:"));
    format!("{place} {}{source}\n  {does} {what}\n  {instead} {safer}", paint.bad(rule))
}

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use streamify_backend::MIGRATOR;

use super::{Context, Outcome};
use crate::aws::Aws;
use crate::failure::{Failure, Result};
use crate::migrate::Schema;
use crate::outputs::Outputs;
use crate::settings::{Settings, Target};
use crate::terminal::Paint;
use crate::verify::{Check, Subject, Verdict, verify};

/// Check everything that a deploy depends on, and change nothing
///
/// Credentials and account, Terraform's outputs, the cluster, services, images, roles, secrets, the network, target
/// groups, log groups, the quota, and pending migrations where DATABASE_URL leads to the database. What can't be looked
/// at is skipped with its reason. Exits with 1 when a check failed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify verify prod\n  \
                        streamify verify prod --image app=123456789012.dkr.ecr.eu-west-1.amazonaws.com/cinema/app@sha256:…\n  \
                        streamify verify prod --output json | jq '.checks[] | select(.verdict == \"failed\")'")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// Terraform's output object from this file, instead of from its root
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,
    /// An image that is to be deployed, instead of the one that runs; may be repeated
    #[arg(long = "image", value_name = "NAME=REFERENCE", value_parser = image)]
    images: Vec<(String, String)>,
}

fn image(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, reference)| !name.is_empty() && !reference.is_empty());
    let (name, reference) = pair.ok_or("it is the image's name in streamify.yaml, `=`, and a reference")?;
    Ok((name.to_owned(), reference.to_owned()))
}

/// How long a database may take to answer.
const DATABASE: Duration = Duration::from_secs(5);

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let environment = settings.ship.environment(&arguments.environment, &settings.name)?;
    if environment.target == Target::Docker {
        return Err(Failure::usage(format!(
            "the environment `{}` runs on Docker: AWS has nothing of it",
            environment.name
        ))
        .hint("The local stack checks itself: streamify dev doctor"));
    }
    let images: BTreeMap<String, String> = arguments.images.iter().cloned().collect();
    if let Some(unknown) = images.keys().find(|name| !settings.ship.images.contains_key(*name)) {
        let known: Vec<&str> = settings.ship.images.keys().map(String::as_str).collect();
        return Err(Failure::usage(format!("there is no image `{unknown}` in streamify.yaml"))
            .hint(format!("There is {}.", known.join(", "))));
    }
    let aws = Aws::connect(&environment, &context.environment).await?;
    let file = arguments.outputs.as_ref().map(|file| settings.directory.join(file));
    let outputs = Outputs::load(&environment, settings, file.as_deref()).await;
    let report = context.terminal.report();
    let subject = Subject { environment: &environment, aws: &aws, outputs, images, report: &*report };
    let (mut checks, migrations) = tokio::join!(verify(&subject), migrations(settings));
    checks.push(migrations);

    let count = |verdict| checks.iter().map(|check| check.count(verdict)).sum::<usize>();
    let (ok, failed, skipped) = (count(Verdict::Ok), count(Verdict::Failed), count(Verdict::Skipped));
    context.terminal.result(
        |paint| {
            let mut lines = Vec::new();
            for check in &checks {
                draw(paint, check, 0, &mut lines);
            }
            lines.push(format!("{ok} ok, {failed} failed, {skipped} skipped"));
            lines.join("\n")
        },
        &json!({ "environment": environment.name, "ok": ok, "failed": failed, "skipped": skipped, "checks": checks }),
    )?;
    if failed == 0 {
        return Ok(Outcome::Done);
    }
    Err(Failure::failed(format!("{failed} of {} checks failed", ok + failed + skipped)))
}

fn draw(paint: Paint, check: &Check, depth: usize, lines: &mut Vec<String>) {
    let mark = match check.verdict {
        Verdict::Ok => paint.good("✔"),
        Verdict::Skipped => paint.dim("–"),
        Verdict::Failed => paint.bad("✘"),
    };
    let indent = "  ".repeat(depth);
    let name = if check.checks.is_empty() { check.name.clone() } else { paint.strong(&check.name) };
    let (first, more) = check.reasons.split_first().map_or((None, [].as_slice()), |(first, more)| (Some(first), more));
    let word = if check.verdict == Verdict::Skipped { "skipped: " } else { "" };
    let beside = first.map(|first| format!("  {}", paint.dim(format!("{word}{first}")))).unwrap_or_default();
    lines.push(format!("{indent}{mark} {name}{beside}"));
    lines.extend(more.iter().map(|reason| format!("{indent}    {}", reason.replace('\n', &format!("\n{indent}    ")))));
    lines.extend(check.hints.iter().map(|hint| format!("{indent}    {} {hint}", paint.note("hint:"))));
    for inner in &check.checks {
        draw(paint, inner, depth + 1, lines);
    }
}

/// Migrations that the database has not seen. It is usually out of reach from here; then the deploy's own task finds out.
async fn migrations(settings: &Settings) -> Check {
    const NAME: &str = "migrations";
    let database = match settings.database.named() {
        Ok(Some(database)) => database,
        Ok(None) => {
            return Check::skipped(
                NAME,
                "DATABASE_URL is not set here; the deploy runs what is pending before services change",
            );
        }
        Err(failure) => return Check::skipped(NAME, failure.to_string()),
    };
    let asked = async {
        let mut schema = Schema::connect(&MIGRATOR, &database).await?;
        Ok::<_, Failure>(schema.pending(None).await?.len())
    };
    match tokio::time::timeout(DATABASE, asked).await {
        Ok(Ok(0)) => Check::ok(NAME, "none is pending in the database of DATABASE_URL"),
        Ok(Ok(count)) => Check::ok(NAME, format!("{count} are pending; the deploy runs them before services change")),
        Ok(Err(failure)) => Check::skipped(NAME, format!("the database of DATABASE_URL was not read: {failure}")),
        Err(_) => {
            Check::skipped(NAME, format!("the database of DATABASE_URL does not answer in {} s", DATABASE.as_secs()))
        }
    }
}

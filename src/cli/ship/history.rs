use super::super::{Context, Outcome};
use super::{Place, Session, docker_host};
use crate::deploy::{Ending, Purpose, Record};
use crate::failure::Result;
use crate::terminal::{Paint, Table};

/// Show who deployed what, when, and how it ended
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify history prod\n  streamify history prod --limit 100 --output json | \
                        jq '.[] | select(.ending == \"rolled_back\") | .reason'")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// How many, the newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if arguments.place.on_docker(context)?.is_some() {
        return docker_host::history(arguments.limit, context);
    }
    let session = Session::on_aws(&arguments.place, context).await?;
    let records = session.table().newest(arguments.limit).await?;
    context.terminal.result(|paint| text(paint, &records, &session.environment.name), &records)?;
    Ok(Outcome::Done)
}

fn text(paint: Paint, records: &[Record], environment: &str) -> String {
    if records.is_empty() {
        return format!("nothing was deployed to {environment} yet");
    }
    let mut table = Table::new(["deploy", "when", "who", "commit", "images", "result", "took"]);
    for record in records {
        let took = record.seconds().map(|seconds| format!("{seconds:.0} s")).unwrap_or_default();
        let commit = record.commit.as_deref().map(|commit| commit.get(..8).unwrap_or(commit)).unwrap_or_default();
        table.row([
            paint.strong(record.number),
            record.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            record.who.clone(),
            commit.to_owned(),
            images(record),
            result(paint, record),
            took,
        ]);
    }
    table.text()
}

/// Each image by the beginning of its digest.
fn images(record: &Record) -> String {
    let short = |reference: &str| {
        reference.split_once("@sha256:").map(|(_, digest)| digest.get(..8).unwrap_or(digest).to_owned())
    };
    let all = record.images.iter().map(|(name, reference)| format!("{name} {}", short(reference).unwrap_or_default()));
    all.collect::<Vec<_>>().join(", ")
}

fn result(paint: Paint, record: &Record) -> String {
    let what = match (record.purpose, record.target) {
        (Purpose::Deploy, _) => String::new(),
        (Purpose::Rollback, Some(target)) => format!(" (rollback to {target})"),
        (Purpose::Rollback, None) => " (rollback)".to_owned(),
        (Purpose::Restart, _) => " (restart)".to_owned(),
    };
    let taken_back = record.taken_back_by.map(|by| format!(", taken back by {by}")).unwrap_or_default();
    let words = record.ending.words();
    let words = match record.ending {
        Ending::Succeeded if record.taken_back_by.is_none() => paint.good(words),
        Ending::Succeeded | Ending::Running | Ending::Detached => paint.warning(words),
        _ => paint.bad(words),
    };
    format!("{words}{what}{taken_back}")
}

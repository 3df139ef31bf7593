use super::super::{Context, Outcome};
use super::{Place, Session, Watching, lambda};
use crate::deploy::{self, Ending, ServiceStatus, Status};
use crate::failure::Result;
use crate::terminal::{Paint, Table};

/// Show what runs: tasks, revisions, rollouts, health, alarms
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify status prod\n  \
                        streamify status prod --output json | jq '.services[] | {revision, running, desired}'")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if arguments.place.is_lambda(context)? {
        return Box::pin(lambda::status(&arguments.place, context)).await;
    }
    let session = Session::enter(&arguments.place, context).await?;
    let ground = session.ground(&Watching::NONE, context);
    let status = Box::pin(deploy::status(&ground)).await?;
    context.terminal.result(|paint| text(paint, &status), &status)?;
    Ok(Outcome::Done)
}

fn text(paint: Paint, status: &Status) -> String {
    let mut table =
        Table::new(["service", "revision", "image", "desired", "running", "pending", "failed", "healthy", "rollout"]);
    for (name, one) in &status.services {
        let running = if one.running == one.desired { paint.good(one.running) } else { paint.warning(one.running) };
        let failed = if one.failed == 0 { "0".to_owned() } else { paint.bad(one.failed) };
        let healthy = one.healthy.map_or_else(|| "–".to_owned(), |(healthy, all)| format!("{healthy}/{all}"));
        table.row([
            paint.strong(name),
            one.revision.clone(),
            digest(&one.image),
            one.desired.to_string(),
            running,
            one.pending.to_string(),
            failed,
            healthy,
            rollout(paint, one),
        ]);
    }
    let mut parts = vec![table.text()];
    if let Some(holder) = &status.locked_by {
        parts.push(format!("{} by {holder}", paint.warning("being deployed")));
    }
    if let Some(last) = &status.last {
        let words = last.ending.words();
        let words = if last.ending == Ending::Succeeded { paint.good(words) } else { paint.warning(words) };
        let at = last.started_at.strftime("%Y-%m-%d %H:%M UTC");
        parts.push(format!("last deploy: {} by {}, {at}: {words}", last.number, last.who));
    }
    for (name, state) in &status.alarms {
        let state = if state == "ok" { paint.good(state) } else { paint.bad(state) };
        parts.push(format!("alarm {name}: {state}"));
    }
    for (name, one) in &status.services {
        for (at, text) in one.events.iter().rev() {
            parts.push(format!("{} {text}", paint.dim(format!("{at} {name} |"))));
        }
    }
    parts.join("\n")
}

fn rollout(paint: Paint, one: &ServiceStatus) -> String {
    let old: Vec<String> = one.old.iter().map(|(revision, count)| format!("{count} of {revision}")).collect();
    let old = if old.is_empty() { String::new() } else { format!(" (still {})", old.join(", ")) };
    let words = one.rollout.replace('_', " ");
    let words = match one.rollout.as_str() {
        "completed" => paint.good(words),
        "failed" => paint.bad(words),
        _ => paint.warning(words),
    };
    format!("{words}{old}")
}

/// The beginning of an image's digest, or the image.
fn digest(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((_, digest)) => digest.get(..12).unwrap_or(digest).to_owned(),
        None => image.to_owned(),
    }
}

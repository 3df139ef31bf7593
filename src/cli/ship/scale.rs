use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Context, Outcome};
use super::{Place, Session, Watching, minutes};
use crate::deploy;
use crate::failure::Result;

/// Set how many tasks services run
///
/// The next deploy leaves it so, unless streamify.yaml says another number than it did before. With auto scaling it
/// holds until that decides otherwise.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify scale prod backend=4\n  streamify scale prod backend=0 page=0 --detach")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// SERVICE=NUMBER of tasks
    #[arg(required = true, value_name = "SERVICE=NUMBER", value_parser = count)]
    counts: Vec<(String, u32)>,
    /// Minutes to wait until they run
    #[arg(long, value_name = "MINUTES", default_value = "10", value_parser = minutes)]
    timeout: Duration,
    /// Don't wait until they run
    #[arg(long)]
    detach: bool,
}

fn count(text: &str) -> std::result::Result<(String, u32), String> {
    let (service, number) = text.split_once('=').ok_or("give SERVICE=NUMBER, such as backend=3")?;
    Ok((service.to_owned(), number.parse().map_err(|_| format!("`{number}` is no number of tasks"))?))
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let session = Session::enter(&arguments.place, context).await?;
    let watching = Watching { timeout: Some(arguments.timeout), detach: arguments.detach, wait: None };
    let ground = session.ground(&watching, context);
    let wanted: BTreeMap<String, u32> = arguments.counts.iter().cloned().collect();
    let before = deploy::scale(&ground, &wanted).await?;
    let changes: Vec<String> =
        wanted.iter().map(|(name, after)| format!("{name}: {} → {after}", before[name])).collect();
    let undo: Vec<String> = before.iter().map(|(name, before)| format!("{name}={before}")).collect();
    let undo = format!("streamify scale {} {}", session.environment.name, undo.join(" "));
    let json = serde_json::json!({"before": before, "after": wanted, "undo": undo});
    context.terminal.result(|paint| format!("{} {}", paint.good("✔"), changes.join(", ")), &json)?;
    context.terminal.report().hint(&format!("back: {undo}"));
    Ok(Outcome::Done)
}

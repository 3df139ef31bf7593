use super::super::{Context, Outcome};
use super::docker;
use super::runtime::{Chosen, choose};
use crate::failure::Result;
use crate::stack::{Phase, Stack};
use crate::terminal::Table;

/// Show the services: state, address, process or container
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev ps\n  streamify dev ps --output json")]
pub(super) struct Arguments {
    /// Docker: also one-off containers that have ended
    #[arg(short, long)]
    all: bool,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    match choose(choice, context).await? {
        Chosen::Docker(place) => docker::ps::show(&place, arguments.all, context).await?,
        Chosen::Embedded => show(&Stack::of(context.settings()?), context)?,
    }
    Ok(Outcome::Done)
}

/// Prints the table of addresses.
pub(super) fn show(stack: &Stack<'_>, context: &Context) -> Result<()> {
    let entries = stack.entries()?;
    context.terminal.result(
        |paint| {
            if entries.is_empty() {
                return "nothing runs; start it with `streamify dev up`".into();
            }
            let mut table = Table::new(["service", "state", "address", "pid", "uptime", "restarts", "memory"]);
            for entry in &entries {
                let state = match entry.state {
                    Phase::Healthy => paint.good(entry.state.word()),
                    Phase::Failed => paint.bad(entry.state.word()),
                    _ => paint.warning(entry.state.word()),
                };
                table.row([
                    paint.strong(entry.service),
                    state,
                    entry.address.clone(),
                    entry.pid.map_or_else(String::new, |pid| pid.to_string()),
                    entry.uptime_seconds.map_or_else(String::new, uptime),
                    entry.restarts.to_string(),
                    entry.memory_bytes.map_or_else(String::new, |bytes| format!("{} MB", bytes >> 20)),
                ]);
            }
            table.text()
        },
        &entries,
    )
}

fn uptime(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

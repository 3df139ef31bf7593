use std::io::Write;

use futures_util::StreamExt;

use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::{Failure, Result};
use crate::stack::docker::{Happening, happenings};
use crate::stack::logs::moment;
use crate::terminal::{Output, stdout_failure};

/// Show what happens to the containers, until Ctrl-C (Docker)
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev events\n  streamify dev events --since 10m --output json")]
pub(super) struct Arguments {
    /// Only these
    services: Vec<String>,
    /// From this time on: 30s, 10m, 2h, 1d ago, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<jiff::Timestamp>,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("events", choice, context).await?;
    let mut all = std::pin::pin!(happenings(&place.engine, &place.name, arguments.since));
    loop {
        tokio::select! {
            () = context.interrupt.cancelled() => return Ok(Outcome::Done),
            next = all.next() => {
                let Some(next) = next else { return Ok(Outcome::Done) };
                let next = next?;
                if arguments.services.is_empty() || arguments.services.contains(&next.service) {
                    print(&next, context)?;
                }
            }
        }
    }
}

fn print(happening: &Happening, context: &Context) -> Result<()> {
    let text = if context.terminal.output() == Output::Json {
        serde_json::to_string(happening).map_err(|error| Failure::failed("can't write an event").because(&error))?
    } else {
        let paint = context.terminal.paint();
        let time = happening.time.map_or_else(String::new, |time| format!("{time:.3}"));
        let details: Vec<_> = happening.details.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        let details = details.concat();
        format!("{} {} {}{details}", paint.dim(time), paint.strong(&happening.container), happening.action)
    };
    let mut out = context.terminal.stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| stdout_failure(&error))
}

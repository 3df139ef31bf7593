use std::time::Duration;

use super::super::{Context, Outcome};
use super::{logs, ps};
use crate::failure::{Failure, Result};
use crate::settings::Service;
use crate::stack::{Choice, Stack, Wish};
use crate::terminal::Table;

/// Bring the app up, healthy, with its addresses
///
/// Without --detach it then follows the logs, and Ctrl-C stops the stack. What runs already is left alone.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev up\n  streamify dev up --detach --port auto\n  \
                        streamify dev up postgres kafka --port postgres=15432\n  streamify dev up --dry-run")]
pub(super) struct Arguments {
    /// Only these, and what they need
    #[arg(value_enum)]
    services: Vec<Service>,
    /// Return when everything is healthy, and leave it running
    #[arg(short, long)]
    detach: bool,
    /// SERVICE=PORT, or `auto`: a free port for each whose own is taken; chosen ports are remembered
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<Wish>,
    /// The same as --port auto
    #[arg(long)]
    free_ports: bool,
    /// Seconds until it gives up waiting
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Show each step with its reason, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let mut wishes = arguments.ports.clone();
    if arguments.free_ports {
        wishes.push(Wish::Auto);
    }
    let choice = Choice { services: arguments.services.clone(), wishes };
    let settings = context.settings()?;
    let stack = Stack::of(settings);
    let prospect = stack.prospect(&choice)?;
    if arguments.dry_run {
        context.terminal.result(
            |paint| {
                if prospect.steps.is_empty() {
                    return "nothing to do: everything is running".into();
                }
                let mut table = Table::new(["action", "resource", "reason"]);
                for step in &prospect.steps {
                    table.row([paint.strong(step.action), step.resource.clone(), step.reason.clone()]);
                }
                table.text()
            },
            &prospect.steps,
        )?;
        return Ok(Outcome::Done);
    }
    let timeout = arguments.wait_timeout.map_or(settings.dev.wait_timeout, Duration::from_secs);
    let report = context.terminal.report();
    let was_running = stack.is_running()?;
    let changed = tokio::select! {
        changed = stack.up(prospect, timeout, &*report) => changed?,
        () = context.interrupt.cancelled() => {
            // What was running before stays.
            if !was_running {
                stack.down(&*report).await?;
            }
            return Err(Failure::interrupted(2));
        }
    };
    if !changed {
        report.note("nothing to do: everything is running and healthy");
    }
    if stack.is_outdated()? {
        report.hint("this program is newer than the running stack: `streamify dev down`, then `streamify dev up`");
    }
    ps::show(&stack, context)?;
    if arguments.detach || !changed {
        return Ok(Outcome::Done);
    }
    report.note("following the logs; Ctrl-C stops the stack");
    logs::follow(&stack, context).await?;
    stack.down(&*report).await?;
    Ok(Outcome::Done)
}

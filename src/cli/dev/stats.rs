use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::Result;
use crate::stack::docker::{Usage, running, usage};
use crate::terminal::Table;

/// Show what the containers use: processor, memory, network (Docker)
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev stats\n  streamify dev stats --watch")]
pub(super) struct Arguments {
    /// Only these
    services: Vec<String>,
    /// Again and again, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("stats", choice, context).await?;
    loop {
        let entries = running(&place.engine, &place.name, &arguments.services).await?;
        let all = tokio::select! {
            () = context.interrupt.cancelled() => return Ok(Outcome::Done),
            all = usage(&place.engine, &entries) => all?,
        };
        show(&all, context)?;
        if !arguments.watch || context.interrupt.is_cancelled() {
            return Ok(Outcome::Done);
        }
    }
}

fn show(all: &[Usage], context: &Context) -> Result<()> {
    context.terminal.result(
        |paint| {
            let mut table = Table::new(["container", "cpu", "memory", "limit", "received", "sent", "processes"]);
            for one in all {
                table.row([
                    paint.strong(&one.container),
                    format!("{:.1} %", one.cpu_percent),
                    size(one.memory_bytes),
                    one.memory_limit_bytes.map_or_else(String::new, size),
                    size(one.received_bytes),
                    size(one.sent_bytes),
                    one.processes.to_string(),
                ]);
            }
            table.text()
        },
        &all,
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

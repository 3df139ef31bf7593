use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::Result;
use crate::stack::docker::{running, top};
use crate::terminal::Table;

/// Show the processes in the containers (Docker)
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify dev top backend")]
pub(super) struct Arguments {
    /// Only these
    services: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("top", choice, context).await?;
    let entries = running(&place.engine, &place.name, &arguments.services).await?;
    let all = top(&place.engine, &entries).await?;
    context.terminal.result(
        |paint| {
            let one = |processes: &crate::stack::docker::Processes| {
                let mut table = Table::new(processes.titles.clone());
                for row in &processes.rows {
                    table.row(row.clone());
                }
                format!("{}\n{}", paint.strong(&processes.container), table.text())
            };
            all.iter().map(one).collect::<Vec<_>>().join("\n\n")
        },
        &all,
    )?;
    Ok(Outcome::Done)
}

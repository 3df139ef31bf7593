use std::time::Duration;

use jiff::Timestamp;

use super::{logs, ps};
use crate::cli::dev::Choice;
use crate::cli::dev::runtime::Place;
use crate::cli::dev::up::Arguments;
use crate::cli::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::stack::docker::{Prospect, Stack, Step, Wanted, Wishes, stop_all};
use crate::terminal::Table;

/// Brings the project up on Docker.
pub(in crate::cli::dev) async fn run(
    arguments: &Arguments,
    place: &Place,
    choice: &Choice,
    context: &Context,
) -> Result<Outcome> {
    let settings = context.settings()?;
    let project = place.project_with(&arguments.services, choice, context)?;
    let stack = Stack::new(&place.engine, &project, &settings.environment);
    let wishes = arguments.wishes();
    let report = context.terminal.report();
    for note in &project.notes {
        let place = format!("{}:{}:{}", note.file.display(), note.line, note.column);
        report.warning(&format!("{place}: {}", note.message));
    }
    let prospect = stack.prospect(&wishes).await?;
    if arguments.dry_run {
        show(&prospect, context)?;
        return Ok(Outcome::Done);
    }
    let limit = arguments.wait_timeout.map_or(settings.dev.wait_timeout, Duration::from_secs);
    let begun = Timestamp::now();
    let changed = tokio::select! {
        changed = stack.up(prospect, &wishes, limit, &*report) => changed?,
        () = context.interrupt.cancelled() => {
            report.hint("what was started goes on; `streamify dev up` continues, `streamify dev down` takes it away");
            return Err(Failure::interrupted(2));
        }
    };
    if !changed {
        report.note("nothing to do: everything is up");
    }
    ps::show(place, false, context).await?;
    if arguments.detach || !changed {
        return Ok(Outcome::Done);
    }
    report.note("following the logs; Ctrl-C stops the stack");
    let wanted = Wanted { services: wishes.services.iter().cloned().collect(), ..Wanted::default() };
    logs::follow_from(place, &wanted, begun, logs::Printer::new(context, false), context).await?;
    stop_all(&place.engine, &place.name, &*report).await?;
    Ok(Outcome::Done)
}

/// Prints the plan.
fn show(prospect: &Prospect, context: &Context) -> Result<()> {
    let report = context.terminal.report();
    for warning in prospect.warnings() {
        report.warning(warning);
    }
    let steps: Vec<&Step> = prospect.images.iter().chain(prospect.steps()).collect();
    context.terminal.result(
        |paint| {
            if prospect.is_empty() {
                return "nothing to do: everything is up".into();
            }
            let mut table = Table::new(["action", "resource", "reason", "after"]);
            for step in &steps {
                let action = paint.strong(step.action.word());
                table.row([action, step.resource.clone(), step.reason.clone(), step.after.join(", ")]);
            }
            table.text()
        },
        &steps,
    )?;
    if !prospect.images.is_empty() {
        report.note("whether containers change as well depends on the images that these pulls and builds bring");
    }
    Ok(())
}

impl Arguments {
    /// What is wanted, in the words of the Docker runtime.
    pub(in crate::cli::dev) fn wishes(&self) -> Wishes {
        Wishes {
            services: self.services.clone(),
            build: self.build,
            pull: self.pull.unwrap_or_default(),
            force_recreate: self.force_recreate,
            no_dependencies: self.no_deps,
            scale: self.scale.iter().cloned().collect(),
            remove_orphans: self.remove_orphans,
        }
    }
}

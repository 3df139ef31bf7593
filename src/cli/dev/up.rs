use std::time::Duration;

use super::super::{Context, Outcome};
use super::runtime::{Chosen, Place, choose, embedded_services};
use super::{docker, logs, ps};
use crate::failure::{Failure, Kind, Result};
use crate::settings::Runtime;
use crate::stack::docker::{Pull, Remains, remains};
use crate::stack::{Choice, Stack, Wish};
use crate::terminal::Table;

/// Bring the app up, healthy, with its addresses
///
/// Without --detach it then follows the logs, and Ctrl-C stops the stack. What runs already is left alone.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev up\n  streamify dev up --detach --port auto\n  \
                        streamify dev up postgres kafka --port postgres=15432\n  streamify dev up --dry-run\n  \
                        streamify dev up --build --scale backend=3")]
pub(super) struct Arguments {
    /// Only these, and what they need
    pub(super) services: Vec<String>,
    /// Return when everything is healthy, and leave it running
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Embedded: SERVICE=PORT, or `auto`: a free port for each whose own is taken; chosen ports are remembered
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<Wish>,
    /// Embedded: the same as --port auto
    #[arg(long)]
    free_ports: bool,
    /// Docker: build images before, even where they are there
    #[arg(long)]
    pub(super) build: bool,
    /// Docker: when images are pulled [default: as each service's `pull_policy` says]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(super) pull: Option<Pull>,
    /// Docker: make containers anew even where nothing changed
    #[arg(long)]
    pub(super) force_recreate: bool,
    /// Docker: without what the named services depend on
    #[arg(long)]
    pub(super) no_deps: bool,
    /// Docker: SERVICE=NUMBER of containers, before what the file says
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = scale)]
    pub(super) scale: Vec<(String, u32)>,
    /// Docker: remove containers of services that the file no longer has
    #[arg(long)]
    pub(super) remove_orphans: bool,
    /// Seconds until it gives up waiting
    #[arg(long, value_name = "SECONDS")]
    pub(super) wait_timeout: Option<u64>,
    /// Show each step with its reason, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

fn scale(text: &str) -> std::result::Result<(String, u32), String> {
    let (service, number) = text.split_once('=').ok_or("give SERVICE=NUMBER, such as backend=3")?;
    Ok((service.to_owned(), number.parse().map_err(|_| format!("`{number}` is no number of containers"))?))
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    match choose(choice, context).await? {
        Chosen::Docker(place) => {
            if !arguments.ports.is_empty() || arguments.free_ports {
                return Err(Failure::usage("--port is for the embedded runtime")
                    .hint("On Docker the Compose file says the ports; a variable such as \"${KAFKA_PORT:-9092}:9092\" makes one a choice.")
                    .hint("Or give --runtime embedded."));
            }
            match docker::up::run(arguments, &place, choice, context).await {
                Err(failure) if can_do_without(&failure, &place, choice, context).await => {
                    let why = failure.causes.first().unwrap_or(&failure.message);
                    context.terminal.report().warning(&format!(
                        "the images can't be had here ({why}); going on with the embedded runtime, which needs none; \
                         --runtime docker insists"
                    ));
                    embedded(arguments, context).await
                }
                other => other,
            }
        }
        Chosen::Embedded => embedded(arguments, context).await,
    }
}

/// Whether the other runtime may stand in: Docker was not asked for, a registry can't be reached, and the project has
/// nothing on Docker that would then be missed.
async fn can_do_without(failure: &Failure, place: &Place, choice: &super::Choice, context: &Context) -> bool {
    let is_auto = context.settings().is_ok_and(|settings| {
        choice.runtime.unwrap_or(settings.dev.runtime) == Runtime::Auto && !choice.names_docker()
    });
    let has_nothing = |remains: &Remains| remains.is_down() && remains.volumes.is_empty();
    is_auto
        && failure.kind == Kind::Unreachable
        && remains(&place.engine, &place.name).await.is_ok_and(|found| has_nothing(&found))
}

async fn embedded(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if arguments.build {
        context.terminal.report().note("--build: the embedded runtime has no images to build");
    }
    let docker_only = [
        (arguments.pull.is_some(), "--pull"),
        (arguments.force_recreate, "--force-recreate"),
        (arguments.no_deps, "--no-deps"),
        (!arguments.scale.is_empty(), "--scale"),
        (arguments.remove_orphans, "--remove-orphans"),
    ];
    if let Some((_, flag)) = docker_only.iter().find(|(given, _)| *given) {
        return Err(Failure::usage(format!("{flag} is for the Docker runtime"))
            .hint("Leave it out, or give --runtime docker, where a Docker daemon runs."));
    }
    let mut wishes = arguments.ports.clone();
    if arguments.free_ports {
        wishes.push(Wish::Auto);
    }
    let choice = Choice { services: embedded_services(&arguments.services)?, wishes };
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

use std::time::Duration;

use super::docker_host::{self, Wish};
use super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::settings::Target;

/// Roll the app out, watch it, and take it back when it is not good
///
/// On a Docker host (`local`): images are built or pulled, jobs run, and then container after container is replaced
/// behind its health check. The old ones are kept until all of it is good, and come back when it is not (exit code 5).
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify deploy local --build\n  \
                        streamify deploy local --image backend=registry.example.com/app@sha256:…\n  \
                        streamify deploy local --dry-run")]
pub(super) struct Arguments {
    /// The environment, one of streamify.yaml's or `local`
    environment: String,
    /// SERVICE=REFERENCE: an image before what the file says, for every service that shares that one's
    #[arg(long = "image", value_name = "SERVICE=REFERENCE", value_parser = image)]
    images: Vec<(String, String)>,
    /// Build images before
    #[arg(long)]
    build: bool,
    /// Show each step with its reason, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Seconds until it counts as failed
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

fn image(text: &str) -> std::result::Result<(String, String), String> {
    let (service, reference) = text.split_once('=').ok_or("give SERVICE=REFERENCE")?;
    Ok((service.to_owned(), reference.to_owned()))
}

/// Go back to the last release that was good
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify rollback local\n  streamify rollback local --dry-run")]
pub(super) struct RollbackArguments {
    /// The environment, one of streamify.yaml's or `local`
    environment: String,
    /// Show where to, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Seconds until it counts as failed
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// List who deployed what, when, and how it ended
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify history local")]
pub(super) struct HistoryArguments {
    /// The environment, one of streamify.yaml's or `local`
    environment: String,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let environment = settings.ship.environment(&arguments.environment, &settings.name)?;
    only_docker(environment.target)?;
    let wish = Wish {
        images: &arguments.images,
        build: arguments.build,
        dry_run: arguments.dry_run,
        timeout: arguments.timeout.map(Duration::from_secs),
    };
    docker_host::deploy(&environment, &wish, context).await
}

pub(super) async fn rollback(arguments: &RollbackArguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let environment = settings.ship.environment(&arguments.environment, &settings.name)?;
    only_docker(environment.target)?;
    let timeout = arguments.timeout.map(Duration::from_secs);
    docker_host::rollback(&environment, &Wish { dry_run: arguments.dry_run, timeout, ..Wish::default() }, context).await
}

pub(super) fn history(arguments: &HistoryArguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    only_docker(settings.ship.environment(&arguments.environment, &settings.name)?.target)?;
    docker_host::history(context)
}

fn only_docker(target: Target) -> Result<()> {
    if target == Target::Docker {
        return Ok(());
    }
    Err(Failure::usage("only environments on a Docker host can be deployed").hint("Give it `target: docker`."))
}

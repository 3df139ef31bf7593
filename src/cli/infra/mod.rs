//! `streamify infra`: a file per command.

mod apply;
mod cdk;
mod cost;
mod destroy;
mod drift;
mod graph;
mod import;
mod outputs;
mod pipeline;
mod plan;
mod render;
mod show;
mod unlock;
mod validate;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::infra::{Rendered, Site, rendered};
use crate::report::Report;
use crate::settings::{EnvironmentSettings, Settings, Target};

/// Render, plan, apply and look at an environment's infrastructure
///
/// Terraform or OpenTofu 1.10 or newer does the work; its variables follow from streamify.yaml and are checked against
/// the root's declarations before it sees them. Terraform owns the network, the roles, the data and each service's
/// shell; `streamify deploy` owns what runs in it.
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Render(render::Arguments),
    Validate(validate::Arguments),
    Plan(plan::Arguments),
    Apply(apply::Arguments),
    Destroy(destroy::Arguments),
    Outputs(outputs::Arguments),
    Drift(drift::Arguments),
    Import(import::Arguments),
    Cost(cost::Arguments),
    Graph(graph::Arguments),
    Unlock(unlock::Arguments),
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    match &arguments.command {
        Command::Render(arguments) => render::run(arguments, context),
        Command::Validate(arguments) => validate::run(arguments, context).await,
        Command::Plan(arguments) => plan::run(arguments, context).await,
        Command::Apply(arguments) => apply::run(arguments, context).await,
        Command::Destroy(arguments) => destroy::run(arguments, context).await,
        Command::Outputs(arguments) => outputs::run(arguments, context).await,
        Command::Drift(arguments) => drift::run(arguments, context).await,
        Command::Import(arguments) => import::run(arguments, context).await,
        Command::Cost(arguments) => cost::run(arguments, context).await,
        Command::Graph(arguments) => graph::run(arguments, context).await,
        Command::Unlock(arguments) => unlock::run(arguments, context).await,
    }
}

/// What is to do the work.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
enum With {
    /// Terraform or OpenTofu
    #[default]
    Terraform,
    /// AWS CDK, with the app in infra/cdk
    Cdk,
}

/// Which environment, and by what.
#[derive(clap::Args, Clone, Debug)]
struct Place {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    #[command(flatten)]
    tool: Tool,
}

/// The program that does the work.
#[derive(clap::Args, Clone, Debug)]
struct Tool {
    /// The program, a path or a name [default: terraform, else tofu]
    #[arg(long, value_name = "PATH")]
    terraform: Option<PathBuf>,
    /// Minutes to wait while somebody else holds the state's lock [default: not at all]
    #[arg(long, value_name = "MINUTES")]
    wait: Option<u64>,
}

/// Terraform, or CDK in its place.
#[derive(clap::Args, Clone, Debug)]
struct Choice {
    /// terraform, or cdk: the app in infra/cdk
    #[arg(long, value_name = "TOOL", value_enum, default_value_t, hide_possible_values = true)]
    with: With,
}

/// An environment by its name; those on a Docker host have no infrastructure.
fn environment(name: &str, settings: &Settings) -> Result<EnvironmentSettings> {
    let environment = settings.ship.environment(name, &settings.name)?;
    if environment.target == Target::Docker {
        return Err(Failure::usage(format!(
            "the environment `{name}` runs on Docker: it has no infrastructure of its own"
        ))
        .hint("`streamify dev` and `streamify deploy local` work with it."));
    }
    Ok(environment)
}

/// What a command needs besides its arguments.
struct Ground<'a> {
    settings: &'a Settings,
    environment: EnvironmentSettings,
    report: std::sync::Arc<dyn Report>,
    context: &'a Context,
    tool: Tool,
}

impl<'a> Ground<'a> {
    fn enter(place: &Place, context: &'a Context) -> Result<Self> {
        let settings = context.settings()?;
        let environment = environment(&place.environment, settings)?;
        Ok(Self { settings, environment, report: context.terminal.report(), context, tool: place.tool.clone() })
    }

    /// The environment's root, with a Terraform that is there and new enough.
    async fn site(&self) -> Result<Site<'_>> {
        let program = self.tool.terraform.as_deref();
        let mut site = Site::new(self.settings, &self.environment, program, &*self.report, &self.context.interrupt)?;
        site.terraform.version().await?;
        site.is_live = self.context.terminal.is_live();
        site.patience = self.tool.wait.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        Ok(site)
    }

    /// Brings the root's files up to date, and says which were not.
    fn render(&self) -> Result<()> {
        for file in rendered(self.settings, &self.environment)?.iter().filter(|file| !file.is_current()) {
            file.write()?;
            self.report.note(&format!("wrote {}:\n{}", file.shown.display(), indented(&file.difference())));
        }
        Ok(())
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The lines of what is not up to date; empty where all is.
fn differences(files: &[Rendered]) -> Vec<(String, Vec<String>)> {
    let old = files.iter().filter(|file| !file.is_current());
    old.map(|file| (file.shown.display().to_string(), file.difference())).collect()
}

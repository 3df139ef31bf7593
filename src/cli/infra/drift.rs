use serde_json::json;

use super::super::{Context, Outcome};
use super::show::coloured;
use super::{Ground, Place, pipeline};
use crate::failure::Result;
use crate::infra::{Making, Purpose};

/// Show what somebody changed outside of Terraform
///
/// Compares what there is with what Terraform left, and changes neither. Shown is what an apply would undo: what
/// Terraform ignores (task definitions and the number of tasks, which `streamify deploy` changes) is no drift, nor is
/// what AWS fills in by itself.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify infra drift prod\n  streamify infra drift prod --exit-code\n  \
                        streamify infra drift prod --output json | jq '.drift[].address'\n\n\
                        What is not to stay is undone by `streamify infra apply`; what is to stay belongs into the configuration.")]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Exit with 3 when something differs
    #[arg(long)]
    exit_code: bool,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    let site = ground.site().await?;
    ground.render()?;
    let making = Making { purpose: Purpose::Apply, targets: Vec::new(), is_kept: false };
    let plan = site.plan(&making).await?.plan;
    pipeline::planned(&plan, "Drift of", context)?;
    context.terminal.result(
        |paint| coloured(paint, &plan.drift_text()),
        &json!({ "environment": plan.environment, "drift": plan.drift }),
    )?;
    Ok(if arguments.exit_code && !plan.drift.is_empty() { Outcome::Difference } else { Outcome::Done })
}

use serde_json::json;

use super::super::{Context, Outcome};
use super::show::coloured;
use super::{Ground, Place, pipeline};
use crate::failure::Result;
use crate::infra::{Making, Purpose};

/// Show what somebody changed outside of Terraform
///
/// Compares what there is with the state, and changes neither. What `streamify deploy` changes (task definitions, the
/// number of tasks) Terraform ignores, so it is no drift.
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
    let making = Making { purpose: Purpose::Apply, targets: Vec::new(), refresh_only: true };
    let plan = site.plan(&making).await?.plan;
    pipeline::planned(&plan, "Drift of", context)?;
    context.terminal.result(
        |paint| coloured(paint, &plan.drift_text()),
        &json!({ "environment": plan.environment, "drift": plan.drift }),
    )?;
    Ok(if arguments.exit_code && !plan.drift.is_empty() { Outcome::Difference } else { Outcome::Done })
}

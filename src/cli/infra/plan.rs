use super::super::{Context, Outcome};
use super::show::coloured;
use super::{Choice, Ground, Place, With, cdk, pipeline};
use crate::failure::Result;
use crate::infra::{Making, Plan, Purpose};

/// Show what would change, and why, and keep the plan for `apply`
///
/// The rendered files are brought up to date first, and the root is initialised where that is needed. What is destroyed
/// or made anew is shown first, in red, with the reason; of what is changed every attribute that differs. Sensitive
/// values are masked, also where a provider has copied them to.
///
/// The plan is kept in .streamify/infra/ENV, readable by you alone: Terraform writes values of the state into it in
/// clear. `apply` uses it while neither the state nor anything that Terraform reads has changed. The CDK shows its own
/// difference, and keeps none.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify infra plan prod\n  streamify infra plan prod --exit-code || echo 'prod differs'\n  \
                        streamify infra plan prod --destroy\n  streamify infra plan prod --target module.network\n  \
                        streamify infra plan prod --output json | jq '.changes[] | select(.loses)'\n\n\
                        Exit codes: 0 planned, 1 failed, 3 something would change (--exit-code), 4 no Terraform"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    choice: Choice,
    /// Exit with 3 when something would change
    #[arg(long)]
    exit_code: bool,
    /// Plan to destroy everything
    #[arg(long)]
    destroy: bool,
    /// Only this address and what it needs; may be repeated
    #[arg(long = "target", value_name = "ADDRESS")]
    targets: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    if arguments.choice.with == With::Cdk {
        cdk::whole(arguments.destroy, &arguments.targets)?;
        return cdk::plan(&ground, arguments.exit_code).await;
    }
    let purpose = if arguments.destroy { Purpose::Destroy } else { Purpose::Apply };
    let making = Making { purpose, targets: arguments.targets.clone(), is_kept: true };
    // A missing program is found before anything is written.
    let site = ground.site().await?;
    ground.render()?;
    let plan = site.plan(&making).await?.plan;
    let title = if arguments.destroy { "Destroying" } else { "Infrastructure of" };
    pipeline::planned(&plan, title, context)?;
    context.terminal.result(|paint| coloured(paint, &plan.text()), &plan)?;
    hint(&plan, purpose, &ground);
    Ok(if arguments.exit_code && !plan.is_empty() { Outcome::Difference } else { Outcome::Done })
}

fn hint(plan: &Plan, purpose: Purpose, ground: &Ground) {
    let name = &ground.environment.name;
    if plan.is_empty() {
        return;
    }
    let command = if purpose == Purpose::Destroy { "destroy" } else { "apply" };
    ground.report.hint(&format!("Carry it out with: streamify infra {command} {name}"));
    if !plan.losses().is_empty() {
        ground.report.warning("Data would be lost; its name has to be typed then.");
    }
}

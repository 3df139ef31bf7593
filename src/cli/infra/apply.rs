use super::super::{Context, Outcome};
use super::show::{coloured, confirm_losses};
use super::{Choice, Ground, Place, With, cdk, pipeline};
use crate::failure::{Failure, Result};
use crate::infra::{Applied, Making, Plan, Purpose, Site, resources};
use crate::terminal::Output;

/// Carry out the kept plan, or plan, ask, and carry that out
///
/// A kept plan is used while it is fresh: the state and everything that Terraform reads are as they were. Otherwise
/// another one is made, shown, and asked about. Where data would be lost (a database, a bucket, a table, …), its name has
/// to be typed, or given by --confirm-destroy; --yes does not answer that.
///
/// With the CDK the difference is made and shown anew each time, and just that is deployed. Services that ECS does not
/// have yet begin without tasks; it then deploys once more, so that their number is `streamify deploy`'s alone.
///
/// The first Ctrl-C lets Terraform finish what is in flight and save its state. What was cut short or failed halfway
/// goes on with the next `apply`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify infra plan prod && streamify infra apply prod\n  \
                        streamify infra apply prod --yes\n  streamify infra apply prod --confirm-destroy cinema-uploads\n  \
                        streamify infra apply prod --wait 10\n  streamify infra apply prod --with cdk\n\n\
                        Exit codes: 0 applied or nothing to do, 1 failed or refused, 4 no Terraform, 130 interrupted")]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    choice: Choice,
    /// The name of something whose data may be lost; may be repeated
    #[arg(long = "confirm-destroy", value_name = "NAME")]
    confirmed: Vec<String>,
    /// Only this address and what it needs; may be repeated
    #[arg(long = "target", value_name = "ADDRESS")]
    targets: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    if arguments.choice.with == With::Cdk {
        cdk::whole(false, &arguments.targets)?;
        return cdk::apply(&ground, &arguments.confirmed).await;
    }
    let site = ground.site().await?;
    ground.render()?;
    let wish = Wish { purpose: Purpose::Apply, targets: &arguments.targets, confirmed: &arguments.confirmed };
    carry_out(&site, &ground, &wish, context).await
}

/// What is carried out.
pub(super) struct Wish<'a> {
    pub(super) purpose: Purpose,
    pub(super) targets: &'a [String],
    pub(super) confirmed: &'a [String],
}

/// Plans unless a fresh plan is kept, shows it, asks, applies, tells.
pub(super) async fn carry_out(
    site: &Site<'_>,
    ground: &Ground<'_>,
    wish: &Wish<'_>,
    context: &Context,
) -> Result<Outcome> {
    let kept = if wish.targets.is_empty() { site.fresh(wish.purpose).await? } else { None };
    let planned = match kept {
        Some(planned) => planned,
        None => {
            let making = Making { purpose: wish.purpose, targets: wish.targets.to_vec(), is_kept: true };
            site.plan(&making).await?
        }
    };
    let plan = &planned.plan;
    let name = &ground.environment.name;
    if plan.is_empty() {
        let nothing = Applied {
            environment: name.clone(),
            purpose: wish.purpose,
            done: Vec::new(),
            failed: Vec::new(),
            seconds: 0.0,
            failure: None,
        };
        return tell(&nothing, plan, context);
    }
    ground.report.note(&coloured(context.terminal.error_paint(), &plan.text()));
    confirm_losses(plan, wish.confirmed, context)?;
    if !planned.is_saved {
        let word = if wish.purpose == Purpose::Destroy { "Destroy" } else { "Apply" };
        if !context.terminal.confirm(&format!("{word} this in {name}?"))? {
            ground.report.hint("The plan is kept; it is used while it is fresh.");
            return Err(Failure::failed("nothing was changed"));
        }
    }
    let applied = site.apply(wish.purpose).await?;
    pipeline::planned(plan, "Infrastructure of", context)?;
    pipeline::applied(&applied, context)?;
    tell(&applied, plan, context)
}

fn tell(applied: &Applied, plan: &Plan, context: &Context) -> Result<Outcome> {
    let failure = applied.failure.clone();
    // A failure in words is printed at the end; standard output then has nothing to say but JSON.
    if failure.is_none() || context.terminal.output() == Output::Json {
        let words = |paint: crate::terminal::Paint| {
            if plan.is_empty() {
                return format!("{} {}: nothing to do", paint.good("✔"), applied.environment);
            }
            let word = if applied.purpose == Purpose::Destroy { "destroyed" } else { "applied" };
            let (count, seconds) = (resources(applied.done.len()), applied.seconds);
            format!("{} {} is {word}: {count} in {seconds} s", paint.good("✔"), applied.environment)
        };
        context.terminal.result(words, applied)?;
    }
    match failure {
        None => Ok(Outcome::Done),
        Some(failure) => Err(failure),
    }
}

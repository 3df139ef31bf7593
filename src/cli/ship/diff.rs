use super::super::{Context, Outcome};
use super::deploy::{Building, Choice, NoChecks, shown};
use super::{Place, Session, Watching, lambda};
use crate::deploy;
use crate::failure::Result;

/// Show what a deploy would change, by service and field
///
/// Compares what streamify.yaml and Terraform's outputs say with what is live. Changes nothing. Images that are not
/// given stay as they run; `streamify deploy ENV --dry-run` builds them to know.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify diff prod\n  streamify diff prod --exit-code || echo 'prod differs'\n  \
                        streamify diff prod --image app=123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:…\n  \
                        streamify diff prod --output json | jq '.services[].definition'"
)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    choice: Choice,
    /// Exit with 3 when something differs
    #[arg(long)]
    exit_code: bool,
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if arguments.place.is_lambda(context)? {
        return lambda::diff(&arguments.place, arguments.exit_code, context).await;
    }
    let session = Session::enter(&arguments.place, context).await?;
    let ground = session.ground(&Watching::NONE, context);
    let mut wishes = arguments.choice.wishes(&session, context)?;
    let images = Building { environment: &session.environment, context };
    // Whoever only looks need not have built anything.
    wishes.keep_images = true;
    let plan = deploy::plan(&ground, &images, &NoChecks, &wishes).await?;
    context.terminal.result(|paint| shown(paint, &plan), &plan)?;
    Ok(if arguments.exit_code && !plan.is_empty() { Outcome::Difference } else { Outcome::Done })
}

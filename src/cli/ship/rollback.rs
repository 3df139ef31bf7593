use super::super::{Context, Outcome};
use super::{Place, Session, Watching, docker_host, tell};
use crate::deploy;
use crate::failure::{Failure, Result};

/// Come back to the last deploy that was good
///
/// While a rollout goes on, ECS takes it back, whoever began it. Afterwards every service is told the revision that the
/// history has of the last good deploy, and watched. Migrations are not taken back.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify rollback prod\n  streamify history prod && streamify rollback prod --to 41\n  \
                        streamify rollback local"
)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// To this deploy, by its number
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,
    #[command(flatten)]
    watching: Watching,
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if let Some(environment) = arguments.place.on_docker(context)? {
        if arguments.to.is_some() {
            return Err(Failure::usage("--to is for environments on ECS")
                .hint("Without it the last deploy that was good and another one comes back."));
        }
        return docker_host::rollback(&environment, arguments.watching.timeout, context).await;
    }
    let is_lambda = arguments.place.is_lambda(context)?;
    let session = if is_lambda {
        Session::on_aws(&arguments.place, context).await?
    } else {
        Session::enter(&arguments.place, context).await?
    };
    let mut watching = arguments.watching.clone();
    // Whoever deployed sees the rollback a moment later, and gives the lock back.
    watching.wait = watching.wait.or(Some(2));
    let ground = session.ground(&watching, context);
    let story = if is_lambda {
        deploy::lambda::rollback(&ground, arguments.to).await
    } else {
        deploy::rollback(&ground, arguments.to).await
    };
    tell(&story, context)
}

use super::super::{Context, Outcome};
use super::apply::{Wish, carry_out};
use super::{Choice, Ground, Place, With, cdk};
use crate::failure::Result;
use crate::infra::Purpose;

/// Destroy everything that Terraform made of an environment
///
/// Plans it, shows it, asks. The name of everything whose data is lost has to be typed, or given by --confirm-destroy.
/// What is protected in AWS itself (deletion_protection, a bucket that is not empty) stays, and is named.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify infra plan staging --destroy\n  streamify infra destroy staging\n  \
                        streamify infra destroy staging --yes --confirm-destroy cinema-staging --confirm-destroy cinema-deploys")]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    choice: Choice,
    /// The name of something whose data is lost; may be repeated
    #[arg(long = "confirm-destroy", value_name = "NAME")]
    confirmed: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    if arguments.choice.with == With::Cdk {
        return cdk::destroy(&ground, &arguments.confirmed).await;
    }
    let site = ground.site().await?;
    ground.render()?;
    let wish = Wish { purpose: Purpose::Destroy, targets: &[], confirmed: &arguments.confirmed };
    carry_out(&site, &ground, &wish, context).await
}

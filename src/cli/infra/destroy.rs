use super::super::{Context, Outcome};
use super::apply::{Wish, carry_out};
use super::{Choice, Ground, Place, With, cdk};
use crate::aws::Aws;
use crate::deploy::{Cloud, forget};
use crate::failure::Result;
use crate::infra::Purpose;
use crate::outputs::Outputs;

/// Destroy everything that Terraform made of an environment
///
/// Plans it, shows it, asks. The name of everything whose data is lost has to be typed, or given by --confirm-destroy.
/// What is protected in AWS itself (deletion_protection, a bucket that is not empty) stays, and is named. The task
/// definitions that deploys have registered go as well; the values of secrets stay.
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
    // They are gone with what they tell of. A root of another kind has none, and no deploys.
    let outputs = Outputs::load(&ground.environment, ground.settings, None).await.ok();
    let wish = Wish { purpose: Purpose::Destroy, targets: &[], confirmed: &arguments.confirmed };
    let outcome = carry_out(&site, &ground, &wish, context).await?;
    if let Some(outputs) = outputs {
        clear(&ground, outputs).await;
    }
    Ok(outcome)
}

/// Takes away what deploys have left. The environment is gone, whatever comes of this.
async fn clear(ground: &Ground<'_>, outputs: Outputs) {
    let families: Vec<String> = outputs.services.into_values().map(|service| service.name).collect();
    let forgotten = async {
        let aws = Aws::connect(&ground.environment, &ground.context.environment).await?;
        forget(&Cloud::new(aws), &families).await
    };
    match forgotten.await {
        Ok(0) => {}
        Ok(1) => ground.report.note("1 task definition that a deploy had registered is deleted."),
        Ok(count) => ground.report.note(&format!("{count} task definitions that deploys had registered are deleted.")),
        Err(failure) => ground.report.warning(&format!("Task definitions that deploys had registered stay: {failure}")),
    }
    let name = &ground.environment.name;
    ground.report.hint(&format!(
        "The values of secrets stay: streamify secrets list {name}, streamify secrets delete {name} NAME"
    ));
}

use serde_json::json;

use super::super::{Context, Outcome};
use super::{Ground, Place};
use crate::failure::Result;
use crate::infra::{Action, Making, Purpose};

/// Take something that is there already into Terraform's state
///
/// Without an address: what a plan would make, each with the command that imports it instead. With an address alone:
/// the block that imports it with the next apply, which is reviewed like any change. With both: imports it now.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify infra import prod\n  streamify infra import prod aws_s3_bucket.uploads\n  \
                        streamify infra import prod aws_s3_bucket.uploads cinema-uploads"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The resource's address in the configuration
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// What the provider calls it: a name, an id or an ARN, as the resource's page says under "Import"
    #[arg(value_name = "ID", requires = "address")]
    id: Option<String>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    let name = &ground.environment.name;
    match (&arguments.address, &arguments.id) {
        (Some(address), Some(id)) => {
            let site = ground.site().await?;
            ground.render()?;
            site.initialise(true).await?;
            site.import(address, id).await?;
            context.terminal.result(
                |paint| {
                    format!(
                        "{} {address} is imported; `streamify infra plan {name}` shows what differs",
                        paint.good("✔")
                    )
                },
                &json!({ "environment": name, "address": address, "id": id }),
            )?;
        }
        (Some(address), None) => {
            let block = format!("import {{\n  to = {address}\n  id = \"ID\"\n}}");
            let root = ground.environment.terraform.display();
            context.terminal.result(
                |_| format!("# Into a file of {root}; the next apply imports it, and then it can go.\n{block}"),
                &json!({ "environment": name, "address": address, "block": block }),
            )?;
        }
        (None, _) => {
            let site = ground.site().await?;
            ground.render()?;
            let making = Making { purpose: Purpose::Apply, targets: Vec::new(), is_kept: true };
            let planned = match site.fresh(Purpose::Apply).await? {
                Some(planned) => planned,
                None => site.plan(&making).await?,
            };
            let made = planned.plan.changes.iter().filter(|change| change.action == Action::Create);
            let made: Vec<&str> = made.map(|change| change.address.as_str()).collect();
            context.terminal.result(
                |paint| {
                    if made.is_empty() {
                        return format!("{name}: a plan would make nothing, so there is nothing to import");
                    }
                    let lines =
                        made.iter().map(|address| format!("  streamify infra import {name} {} ID", quoted(address)));
                    let heading =
                        format!("{name}: a plan would make {}; what of it is there already is imported by", made.len());
                    format!("{}\n{}", paint.strong(heading), lines.collect::<Vec<_>>().join("\n"))
                },
                &json!({ "environment": name, "would_be_made": made }),
            )?;
        }
    }
    Ok(Outcome::Done)
}

/// For a shell: indexes have brackets and quotes.
fn quoted(address: &str) -> String {
    if address.contains(['[', '"']) { format!("'{address}'") } else { address.to_owned() }
}

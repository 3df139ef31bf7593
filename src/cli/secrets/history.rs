use serde_json::json;

use super::super::{Context, Outcome};
use super::{Place, shown};
use crate::failure::Result;
use crate::terminal::Table;

/// Show a secret's versions: when and by whom, never what
///
/// The parameter store keeps the last hundred with who wrote them; Secrets Manager does not tell who.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify secrets history prod JWT_KEYS")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// The secret, or the variable that a service gets it as
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    super::checked(&arguments.name)?;
    let place = Place::open(&arguments.environment, context).await?;
    let name = place.reference(&arguments.name)?.name;
    let (held, versions) = place.vault().history(&name).await?;
    context.terminal.result(
        |paint| {
            let mut table = Table::new(["version", "at", "by", "labels"]);
            for version in &versions {
                let number = if version.current { paint.good(&version.version) } else { version.version.clone() };
                let by = version.by.clone().unwrap_or_else(|| "–".to_owned());
                table.row([number, shown(version.at), by, version.labels.join(", ")]);
            }
            table.text()
        },
        &json!({ "secret": held, "versions": versions }),
    )?;
    Ok(Outcome::Done)
}

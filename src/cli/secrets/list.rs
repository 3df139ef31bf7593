use super::super::{Context, Outcome};
use super::{Place, shown, store_word};
use crate::failure::Result;
use crate::terminal::Table;

/// Show every secret, without values
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify secrets list prod\n  \
                        streamify secrets list prod --output json | jq -r '.[].name'")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let place = Place::open(&arguments.environment, context).await?;
    let all = place.vault().list().await?;
    context.terminal.result(
        |paint| {
            if all.is_empty() {
                return format!("There is no secret below {}", place.environment.prefix);
            }
            let mut table = Table::new(["name", "store", "version", "changed", "needed by", ""]);
            for held in &all {
                let remark = match (held.deleted_at, held.encrypted) {
                    (Some(_), _) => paint.warning("deleted; can be restored"),
                    (None, false) => paint.warning("not encrypted"),
                    _ => String::new(),
                };
                let needed = place.needed_by(&held.name).join(", ");
                let (store, version) = (store_word(held.store).to_owned(), held.version.clone());
                table.row([held.name.clone(), store, version, shown(held.changed_at), needed, remark]);
            }
            table.text()
        },
        &all,
    )?;
    Ok(Outcome::Done)
}

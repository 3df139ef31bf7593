use serde_json::{Map, Value, json};

use super::super::{Context, Outcome};
use super::{Choice, Ground, Place, With};
use crate::failure::{Failure, Result};
use crate::infra::{MASK, cdk};
use crate::terminal::Table;

/// Show what Terraform tells of an environment: addresses, names, brokers
///
/// Sensitive values are masked. With a name its value alone, as text where it is one.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify infra outputs prod\n  open \"$(streamify infra outputs prod address)\"\n  \
                        streamify infra outputs prod --output json | jq '.streamify.value.cluster'"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only this output
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    choice: Choice,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    let name = &ground.environment.name;
    let all = match arguments.choice.with {
        With::Cdk => cdk::outputs(&ground.settings.directory, name)?
            .into_iter()
            .map(|(name, value)| (name, json!({"sensitive": false, "value": value})))
            .collect(),
        With::Terraform => {
            let site = ground.site().await?;
            site.initialise(true).await?;
            masked(site.outputs().await?)
        }
    };
    if let Some(wanted) = &arguments.name {
        let Some(output) = all.get(wanted) else {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            let failure = Failure::usage(format!("there is no output `{wanted}` of {name}"));
            return Err(failure.hint(if known.is_empty() {
                format!("There is none; has it been applied? streamify infra apply {name}")
            } else {
                format!("There is {}.", known.join(", "))
            }));
        };
        let value = output.get("value").unwrap_or(&Value::Null);
        context.terminal.result(|_| plain(value), value)?;
        return Ok(Outcome::Done);
    }
    context.terminal.result(
        |paint| {
            if all.is_empty() {
                return format!("{name} has no outputs; has it been applied? streamify infra apply {name}");
            }
            let mut table = Table::new(["output", "value"]);
            for (name, output) in &all {
                let value = output.get("value").unwrap_or(&Value::Null);
                for (key, value) in rows(name, value) {
                    table.row([paint.strong(key), value]);
                }
            }
            table.text()
        },
        &all,
    )?;
    Ok(Outcome::Done)
}

/// Without what must not be seen.
fn masked(all: Map<String, Value>) -> Map<String, Value> {
    let mask = |(name, output): (String, Value)| {
        let is_sensitive = output.get("sensitive") == Some(&Value::Bool(true));
        let value = if is_sensitive { json!(MASK) } else { output.get("value").cloned().unwrap_or_default() };
        (name, json!({"sensitive": is_sensitive, "value": value}))
    };
    all.into_iter().map(mask).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An object is a row for each of its keys, a level deep.
fn rows(name: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            entries.iter().map(|(key, value)| (format!("{name}.{key}"), plain(value))).collect()
        }
        other => vec![(name.to_owned(), plain(other))],
    }
}

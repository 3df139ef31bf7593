use serde_json::json;

use super::super::{Context, Outcome};
use super::{Choice, Ground, Place, Tool, With, cdk, differences};
use crate::failure::{Failure, Result};
use crate::infra::{Diagnostic, rendered};
use crate::settings::Target;

/// Check the roots: rendered files, types, and Terraform's own validation
///
/// Without an environment all of those whose root is there. Needs no credentials and reads no state. Each finding is
/// shown with file, line and the lines that it is about.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify infra validate\n  streamify infra validate prod\n  \
                        streamify infra validate prod --output json | jq '.[].diagnostics'\n  \
                        streamify infra validate prod --with cdk")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it [default: all that have a root]
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    tool: Tool,
    #[command(flatten)]
    choice: Choice,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let has_root = |name: &&String| {
        let environment = settings.ship.environment(name, &settings.name);
        environment.is_ok_and(|one| one.target != Target::Docker && settings.directory.join(&one.terraform).is_dir())
    };
    let names: Vec<String> = match &arguments.environment {
        Some(name) => vec![name.clone()],
        None => settings.ship.environment_names().filter(has_root).cloned().collect(),
    };
    if names.is_empty() {
        return Err(Failure::usage("no environment of streamify.yaml has a Terraform root")
            .hint("A root is the folder terraform/environments/NAME, or environments.NAME.terraform."));
    }
    let mut all = Vec::new();
    for name in names {
        let place = Place { environment: name, tool: arguments.tool.clone() };
        let ground = Ground::enter(&place, context)?;
        if arguments.choice.with == With::Cdk {
            cdk::validate(&ground).await?;
            continue;
        }
        let old = differences(&rendered(settings, &ground.environment)?);
        let site = ground.site().await?;
        let validation = site.validate().await?;
        all.push((ground.environment.name.clone(), site.shown(), old, validation));
    }
    if arguments.choice.with == With::Cdk {
        return Ok(Outcome::Done);
    }
    let is_good = all.iter().all(|(_, _, old, validation)| old.is_empty() && validation.valid);
    context.terminal.result(
        |paint| {
            let mut lines = Vec::new();
            for (name, root, old, validation) in &all {
                for (file, difference) in old {
                    lines.push(format!("{} {file} is out of date", paint.bad("✘")));
                    lines.extend(difference.iter().map(|line| format!("    {line}")));
                }
                for one in &validation.diagnostics {
                    let mark = if one.is_error() { paint.bad("✘") } else { paint.warning("!") };
                    lines.push(format!("{mark} {}", one.text(root).replace('\n', "\n    ")));
                }
                if validation.valid && old.is_empty() {
                    lines.push(format!("{} {name} is valid: {root}", paint.good("✔")));
                }
            }
            lines.join("\n")
        },
        &all.iter()
            .map(|(name, root, old, validation)| {
                json!({
                    "environment": name, "root": root, "valid": validation.valid && old.is_empty(),
                    "out_of_date": old.iter().map(|(file, lines)| json!({"path": file, "difference": lines})).collect::<Vec<_>>(),
                    "diagnostics": validation.diagnostics,
                })
            })
            .collect::<Vec<_>>(),
    )?;
    if is_good {
        return Ok(Outcome::Done);
    }
    let errors =
        all.iter().flat_map(|(_, _, _, validation)| &validation.diagnostics).filter(|one: &&Diagnostic| one.is_error());
    let (errors, old) = (errors.count(), all.iter().map(|(_, _, old, _)| old.len()).sum::<usize>());
    let failure =
        Failure::failed(format!("not valid: {}, {} out of date", counted(errors, "error"), counted(old, "file")));
    let names: Vec<&str> =
        all.iter().filter(|(_, _, old, _)| !old.is_empty()).map(|(name, ..)| name.as_str()).collect();
    Err(names.iter().fold(failure, |failure, name| failure.hint(format!("streamify infra render {name}"))))
}

/// `1 error`, `2 errors`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

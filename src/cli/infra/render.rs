use serde_json::{Value, json};

use super::super::{Context, Outcome};
use super::{Choice, With, differences, environment, indented};
use crate::failure::{Failure, Result};
use crate::infra::{cdk, rendered};
use crate::terminal::Output;

/// Write the root's variables from streamify.yaml
///
/// Writes streamify.auto.tfvars.json and, where `environments.ENV.state` names a bucket, backend.tfbackend.json into the
/// environment's Terraform root. Every value is checked against the type that the root declares; an unknown name, a
/// missing one and a wrong type are errors with line and column. A secret is refused. For the CDK infra/cdk/variables.json
/// says what is taken; what only Terraform has a use for is left out and named.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify infra render prod\n  streamify infra render prod --check\n  \
                        streamify infra render prod --output json | jq .variables\n  \
                        streamify infra render prod --with cdk\n\n\
                        Exit codes: 0 written or up to date, 2 values that don't fit, 3 out of date (--check)")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// Write nothing; exit with 3 when a file is missing or out of date
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    choice: Choice,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let environment = environment(&arguments.environment, settings)?;
    let files = match arguments.choice.with {
        With::Terraform => rendered(settings, &environment)?,
        With::Cdk => {
            let app = cdk::rendered(settings, &environment)?;
            super::cdk::left_out(&app, &*context.terminal.report());
            vec![app.file]
        }
    };
    let old = differences(&files);
    let is_json = context.terminal.output() == Output::Json;
    if !arguments.check && !is_json {
        files.iter().filter(|file| !file.is_current()).try_for_each(crate::infra::Rendered::write)?;
    }
    let read = |text: &Option<String>| -> Result<Value> {
        let text = text.as_deref().unwrap_or("null");
        serde_json::from_str(text).map_err(|error| Failure::failed("can't read what was rendered").because(&error))
    };
    let variables = files.first().map(|file| read(&file.after)).transpose()?;
    let backend = files.get(1).map(|file| read(&file.after)).transpose()?;
    context.terminal.result(
        |paint| {
            let lines = files.iter().map(|file| {
                let shown = file.shown.display();
                let Some((_, lines)) = old.iter().find(|(path, _)| *path == shown.to_string()) else {
                    return format!("{} {shown} is up to date", paint.good("✔"));
                };
                let word = if arguments.check { "is out of date" } else { "is written" };
                let mark = if arguments.check { paint.warning("~") } else { paint.good("✔") };
                format!("{mark} {shown} {word}\n{}", indented(lines))
            });
            lines.collect::<Vec<_>>().join("\n")
        },
        &json!({
            "environment": environment.name, "current": old.is_empty(), "variables": variables, "backend": backend,
            "files": files.iter().map(|file| json!({
                "path": file.shown, "current": file.is_current(), "difference": file.difference(),
            })).collect::<Vec<_>>(),
        }),
    )?;
    if arguments.check && !old.is_empty() {
        let with = if arguments.choice.with == With::Cdk { " --with cdk" } else { "" };
        context.terminal.report().hint(&format!("Write them with: streamify infra render {}{with}", environment.name));
        return Ok(Outcome::Difference);
    }
    Ok(Outcome::Done)
}

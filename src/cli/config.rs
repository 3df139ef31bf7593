use clap::Subcommand;
use serde_json::json;

use super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::settings::{FILE_NAME, File, Source};
use crate::terminal::Table;

/// Show, check and explain the settings
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every setting with its value and where it came from
    ///
    /// Flags go before the environment, the environment before streamify.yaml, and that before the defaults. Secrets
    /// are masked.
    Show,
    /// Check streamify.yaml and say what is wrong, with line and column
    Check,
    /// Print the JSON schema of streamify.yaml, for editors
    #[command(after_help = "Example:\n  streamify config schema > streamify.schema.json\n  \
                            then, first in streamify.yaml: # yaml-language-server: $schema=streamify.schema.json")]
    Schema,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    match arguments.command {
        Command::Show => show(context)?,
        Command::Check => check(context)?,
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&schemars::schema_for!(File))
                .map_err(|error| Failure::failed("can't write the schema").because(&error))?;
            context.terminal.text(&schema)?;
        }
    }
    Ok(Outcome::Done)
}

fn show(context: &Context) -> Result<()> {
    let settings = context.settings()?;
    let json = json!({
        "file": settings.file, "directory": settings.directory, "settings": settings.resolved(),
    });
    context.terminal.result(
        |paint| {
            let mut table = Table::new(["setting", "value", "from"]);
            for entry in settings.resolved() {
                let source = match (entry.source, &settings.file) {
                    (Source::File, Some(_)) => FILE_NAME.to_owned(),
                    (source, _) => source.to_string(),
                };
                let source = if entry.source == Source::Default { paint.dim(source) } else { paint.note(source) };
                table.row([paint.strong(entry.key), entry.value.clone(), source]);
            }
            table.text()
        },
        &json,
    )
}

fn check(context: &Context) -> Result<()> {
    let settings = context.settings()?;
    let file = settings.file.as_ref().map(|file| file.display().to_string());
    context.terminal.result(
        |paint| match &file {
            Some(file) => format!("{} {file} is valid", paint.good("✔")),
            None => format!("{} there is no {FILE_NAME}; the defaults hold", paint.good("✔")),
        },
        &json!({"file": file, "valid": true}),
    )
}

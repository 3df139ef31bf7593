use serde_json::json;

use super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::settings::VARIABLES;
use crate::terminal::Table;

/// Explain exit codes, the environment, or a command
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify help exit-codes\n  streamify help dev up")]
pub(super) struct Arguments {
    /// `exit-codes`, `environment`, or a command's words
    words: Vec<String>,
}

/// As docs and scripts know them.
const EXIT_CODES: [(&str, &str); 11] = [
    ("0", "done, or nothing to do"),
    ("1", "failed or refused"),
    ("2", "bad arguments or configuration"),
    ("3", "a difference was found (only with --exit-code)"),
    ("4", "something it depends on can't be reached: Docker, AWS, PostgreSQL, Kafka"),
    ("5", "rolled back"),
    ("6", "timed out, still going on"),
    ("7", "superseded: another deployment took its place"),
    ("8", "stopped by somebody else"),
    ("130", "interrupted by Ctrl-C"),
    ("143", "ended by SIGTERM"),
];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exit-codes"] => pairs(context, "code", &EXIT_CODES)?,
        ["environment"] => {
            let variables: Vec<_> = VARIABLES.iter().map(|variable| (variable.name, variable.meaning)).collect();
            pairs(context, "variable", &variables)?;
        }
        words => {
            let mut command = super::command();
            command.build();
            for word in words {
                command = command.find_subcommand(word).cloned().ok_or_else(|| {
                    Failure::usage(format!("there is no command `{}`", words.join(" ")))
                        .hint("`streamify --help` lists the commands.")
                })?;
            }
            context.terminal.text(&command.render_long_help().to_string())?;
        }
    }
    Ok(Outcome::Done)
}

fn pairs(context: &Context, heading: &str, pairs: &[(&str, &str)]) -> Result<()> {
    let json: Vec<_> = pairs.iter().map(|(name, meaning)| json!({heading: name, "meaning": meaning})).collect();
    context.terminal.result(
        |paint| {
            let mut table = Table::new([heading, "meaning"]);
            for (name, meaning) in pairs {
                table.row([paint.strong(name), (*meaning).to_owned()]);
            }
            table.text()
        },
        &json,
    )
}

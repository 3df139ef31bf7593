use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{Context, Outcome};
use super::{Place, checked, store_word, value_as_argument};
use crate::failure::{Failure, Result};
use crate::secrets::{Change, random};
use crate::settings::Secret;

/// Write one secret: from standard input, a file, a prompt, or by chance
///
/// Without a terminal the value is what stands on standard input; on one it is asked for and not shown. The line's end
/// after it is left out. What is there already is not written again.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify secrets set prod STRIPE_KEY\n  \
                        pass show stripe | streamify secrets set prod STRIPE_KEY\n  \
                        streamify secrets set prod TLS_KEY --from-file key.pem\n  \
                        streamify secrets set prod SESSION_KEY --random --bytes 32\n  \
                        streamify secrets set prod database:password")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// The secret, or the variable that a service gets it as; NAME:KEY for one key of a value that is JSON
    #[arg(value_name = "NAME")]
    name: String,
    /// Take the value from this file
    #[arg(long, value_name = "FILE", conflicts_with = "random")]
    from_file: Option<PathBuf>,
    /// Make a value by chance, in hexadecimal
    #[arg(long)]
    random: bool,
    /// How many random bytes
    #[arg(long, value_name = "N", default_value_t = 32, requires = "random",
          value_parser = clap::value_parser!(u16).range(8..=1024))]
    bytes: u16,
    /// Keep the line's end after the value
    #[arg(long, conflicts_with = "random")]
    verbatim: bool,
    /// A value, which is refused without being shown.
    #[arg(hide = true, allow_hyphen_values = true, num_args = 0..)]
    value: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if !arguments.value.is_empty() {
        return Err(value_as_argument());
    }
    checked(&arguments.name)?;
    let place = Place::open(&arguments.environment, context).await?;
    let reference = place.reference(&arguments.name)?;
    let value = match (&arguments.from_file, arguments.random) {
        (_, true) => random(arguments.bytes.into())?,
        (Some(file), _) => from_file(&place.settings.directory.join(file), arguments.verbatim)?,
        (None, false) => from_person_or_pipe(&reference.to_string(), arguments.verbatim, context)?,
    };
    let change = place.vault().set(&reference, &value).await?;
    tell(&place, &reference.to_string(), change, context)?;
    Ok(Outcome::Done)
}

fn tell(place: &Place<'_>, name: &str, change: Change, context: &Context) -> Result<()> {
    let store = store_word(place.environment.store);
    context.terminal.result(
        |paint| match change {
            Change::New => format!("{} {name} is new", paint.good("✔")),
            Change::Changed => format!("{} {name} is changed", paint.good("✔")),
            Change::Same => format!("{} {name} has this value already: nothing to do", paint.good("✔")),
        },
        &json!({ "name": name, "change": change, "store": (change == Change::New).then_some(store) }),
    )?;
    let needed = place.needed_by(name.split(':').next().unwrap_or(name));
    if change != Change::Same && !needed.is_empty() {
        place.report.hint(&format!(
            "Tasks read it at their start: streamify restart {}, or the next deploy, brings it to {}.",
            place.environment.name,
            needed.join(", ")
        ));
    }
    Ok(())
}

fn from_file(path: &Path, verbatim: bool) -> Result<Secret> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("can't read {}", path.display())).because(&error))?;
    text(bytes, &path.display().to_string(), verbatim)
}

fn from_person_or_pipe(name: &str, verbatim: bool, context: &Context) -> Result<Secret> {
    if !std::io::stdin().is_terminal() {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::failed("can't read standard input").because(&error))?;
        return text(bytes, "standard input", verbatim);
    }
    let typed = context.terminal.ask_hidden(&format!("The value of {name} (not shown):"))?;
    let again = context.terminal.ask_hidden("The same again:")?;
    if typed != again {
        return Err(Failure::failed("the two are different: nothing was written"));
    }
    Ok(Secret::new(typed))
}

/// Programs and editors end what they write with a line's end, which is no part of a password.
fn text(bytes: Vec<u8>, source: &str, verbatim: bool) -> Result<Secret> {
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{source} is not text in UTF-8"))
            .hint("Containers get secrets as variables: keep bytes as text, such as base64.")
    })?;
    let value = if verbatim { &text } else { text.strip_suffix('\n').map_or(text.as_str(), without_return) };
    if value.is_empty() {
        return Err(Failure::usage(format!("{source} is empty: there is no value to write")));
    }
    Ok(Secret::new(value))
}

fn without_return(text: &str) -> &str {
    text.strip_suffix('\r').unwrap_or(text)
}

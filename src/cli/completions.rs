use clap_complete::Shell;

use super::{Context, Outcome};
use crate::failure::Result;

/// Print the completion script of a shell
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify completions bash > ~/.local/share/bash-completion/completions/streamify\n  \
                        streamify completions zsh > ~/.zfunc/_streamify\n  \
                        streamify completions fish > ~/.config/fish/completions/streamify.fish"
)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "streamify", &mut script);
    context.terminal.text(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}

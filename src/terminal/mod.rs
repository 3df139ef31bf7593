//! The only place that prints: results on standard output, everything else on standard error.
//!
//! `--output` shapes the result, `--progress` what happens meanwhile. Without a terminal, or with `CI` set, there is
//! no spinner and no prompt: a line per change of state.

mod ask;
mod paint;
mod progress;
mod table;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use serde::Serialize;

use crate::failure::{Failure, Kind, Result};
use crate::report::Report;

pub use paint::Paint;
pub use table::Table;

/// The shape of results on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Tables and sentences for people
    #[default]
    Human,
    /// JSON for scripts
    Json,
}

/// How progress is shown on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Progress {
    /// Live on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// Live, redrawn in place
    Tty,
    /// A line per change of state
    Plain,
    /// A JSON object per line
    Json,
    /// Nothing but errors
    None,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How the terminal is to behave, resolved from flags and environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub output: Output,
    pub progress: Progress,
    pub colour: Colour,
    /// Only errors and results.
    pub quiet: bool,
    /// Answer every question with yes.
    pub assume_yes: bool,
    /// `NO_COLOR` is set.
    pub no_colour_wanted: bool,
    /// `CI` is set: a log, not a person, is reading.
    pub continuous_integration: bool,
}

/// What a person or a script sees.
#[derive(Clone)]
pub struct Terminal {
    options: Options,
    report: Arc<dyn Report>,
    live: bool,
}

impl Terminal {
    /// Looks at what standard output and standard error are, and settles how to write to them.
    pub fn new(options: Options) -> Self {
        let on_terminal = io::stderr().is_terminal() && !options.continuous_integration;
        let live = match options.progress {
            Progress::Tty => true,
            Progress::Auto => on_terminal && options.output == Output::Human,
            _ => false,
        };
        let paint = Self::paint_for(options, io::stderr().is_terminal());
        let report: Arc<dyn Report> = match options.progress {
            Progress::None => Arc::new(progress::Silent { paint }),
            _ if options.quiet => Arc::new(progress::Silent { paint }),
            Progress::Json => Arc::new(progress::JsonLines),
            _ if live => Arc::new(progress::Live::new(paint)),
            _ => Arc::new(progress::Plain { paint }),
        };
        Self { options, report, live }
    }

    fn paint_for(options: Options, is_terminal: bool) -> Paint {
        Paint::new(match options.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => is_terminal && !options.no_colour_wanted,
        })
    }

    /// The shape of results.
    pub fn output(&self) -> Output {
        self.options.output
    }

    /// Whether progress is redrawn in place, in front of a person.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Colours for text that goes to standard output.
    pub fn paint(&self) -> Paint {
        Self::paint_for(self.options, io::stdout().is_terminal())
    }

    /// Colours for text that goes to standard error.
    pub fn error_paint(&self) -> Paint {
        Self::paint_for(self.options, io::stderr().is_terminal())
    }

    /// Where rooms tell their progress.
    pub fn report(&self) -> Arc<dyn Report> {
        Arc::clone(&self.report)
    }

    /// Prints a command's result: `human` for people (a newline is added), `json` for scripts.
    pub fn result<T: Serialize + ?Sized>(&self, human: impl FnOnce(Paint) -> String, json: &T) -> Result<()> {
        match self.options.output {
            Output::Human => self.text(&human(self.paint())),
            Output::Json => {
                let text = serde_json::to_string_pretty(json)
                    .map_err(|error| Failure::failed("can't write the result as JSON").because(&error))?;
                self.text(&text)
            }
        }
    }

    /// Prints text on standard output as it is, with a newline at its end unless it is empty.
    pub fn text(&self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = self.stdout();
        out.write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
            .and_then(|()| out.flush())
            .map_err(|error| stdout_failure(&error))
    }

    /// Standard output with a large buffer, for results that are a stream. Map its errors by [`stdout_failure`].
    pub fn stdout(&self) -> io::BufWriter<io::Stdout> {
        io::BufWriter::with_capacity(256 * 1024, io::stdout())
    }

    /// Whether a person can be asked.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal() && !self.options.continuous_integration
    }

    /// Prints the failure that ends the program, on standard error.
    pub fn failure(&self, failure: &Failure) {
        if failure.kind == Kind::BrokenPipe {
            return;
        }
        let mut err = io::stderr().lock();
        if self.options.progress == Progress::Json || self.options.output == Output::Json {
            let value = serde_json::json!({
                "event": "error", "kind": failure.kind.word(), "message": failure.message,
                "causes": failure.causes, "hints": failure.hints, "exit_code": failure.kind.exit_code(),
            });
            // Standard error may be closed; there is nobody left to tell.
            let _ = writeln!(err, "{value}");
            return;
        }
        let paint = self.error_paint();
        let _ = writeln!(err, "{} {}", paint.bad("error:"), failure.message);
        for cause in &failure.causes {
            let indented = cause.replace('\n', "\n         ");
            let _ = writeln!(err, "  {} {indented}", paint.dim("cause:"));
        }
        for hint in &failure.hints {
            let indented = hint.replace('\n', "\n        ");
            let _ = writeln!(err, "  {} {indented}", paint.note("hint:"));
        }
    }
}

/// What a failed write to standard output means: a reader that went away is no failure.
pub fn stdout_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::new(Kind::BrokenPipe, "standard output was closed")
    } else {
        Failure::failed("can't write to standard output").because(error)
    }
}

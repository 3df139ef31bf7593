use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;

use crate::cli::Context;
use crate::cli::dev::runtime::Place;
use crate::failure::{Failure, Result};
use crate::stack::docker::{Line, Wanted, existing, follow};
use crate::terminal::{Output, stdout_failure};

/// Prints lines in the services' colours.
pub(in crate::cli::dev) struct Printer<'a> {
    context: &'a Context,
    timestamps: bool,
    colours: BTreeMap<String, usize>,
    width: usize,
}

impl<'a> Printer<'a> {
    pub(in crate::cli::dev) fn new(context: &'a Context, timestamps: bool) -> Self {
        Self { context, timestamps, colours: BTreeMap::new(), width: 8 }
    }

    fn print(&mut self, lines: &[Line]) -> Result<()> {
        let paint = self.context.terminal.paint();
        let mut out = self.context.terminal.stdout();
        for line in lines {
            let text = if self.context.terminal.output() == Output::Json {
                serde_json::to_string(line).map_err(|error| Failure::failed("can't write a line").because(&error))?
            } else {
                let next = self.colours.len();
                let colour = *self.colours.entry(line.container.clone()).or_insert(next);
                self.width = self.width.max(line.service.len());
                let time = if self.timestamps {
                    format!("{} ", paint.dim(format!("{:.3}", line.time)))
                } else {
                    String::new()
                };
                let name = format!("{:width$} |", line.service, width = self.width);
                format!("{} {time}{}", paint.source(colour, name), line.text)
            };
            writeln!(out, "{text}").map_err(|error| stdout_failure(&error))?;
        }
        out.flush().map_err(|error| stdout_failure(&error))
    }
}

/// What there is and, with `go_on`, what comes, until Ctrl-C.
pub(in crate::cli::dev) async fn show(
    place: &Place,
    wanted: &Wanted,
    go_on: bool,
    timestamps: bool,
    context: &Context,
) -> Result<()> {
    let mut printer = Printer::new(context, timestamps);
    let lines = existing(&place.engine, &place.name, wanted).await?;
    let last = lines.last().map(|line| line.time);
    printer.print(&lines)?;
    if !go_on {
        return Ok(());
    }
    follow_from(place, wanted, last.unwrap_or_else(|| wanted.since.unwrap_or_else(Timestamp::now)), printer, context)
        .await
}

/// What comes after a moment, until Ctrl-C.
pub(in crate::cli::dev) async fn follow_from(
    place: &Place,
    wanted: &Wanted,
    from: Timestamp,
    mut printer: Printer<'_>,
    context: &Context,
) -> Result<()> {
    let wanted = Wanted { tail: None, ..wanted.clone() };
    let mut lines = follow(&place.engine, &place.name, &wanted, from);
    let mut some = Vec::new();
    loop {
        tokio::select! {
            () = context.interrupt.cancelled() => return Ok(()),
            read = lines.recv_many(&mut some, 512) => {
                if read == 0 {
                    return Err(Failure::unreachable("the Docker daemon went away").hint("`streamify dev doctor` looks at it."));
                }
                printer.print(&some)?;
                some.clear();
            }
        }
    }
}

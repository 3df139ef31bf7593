use std::io::Write;

use jiff::{Timestamp, ToSpan, Unit};

use super::super::{Context, Outcome};
use super::{Place, Session, Watching};
use crate::deploy::{self, LogLine, LogWish};
use crate::failure::{OrFail, Result};
use crate::terminal::{Output, stdout_failure};

/// Show what services print, live over all of them
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify logs prod --follow\n  streamify logs prod backend --since 2h --grep 'panic|ERROR'\n  \
                        streamify logs prod --since 2026-08-01T12:00:00Z --output json | jq -r .text"
)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only these services
    services: Vec<String>,
    /// Since then: 30s, 10m, 2h, 3d, or a time such as 2026-08-01T12:00:00Z
    #[arg(long, value_name = "WHEN", default_value = "10m", value_parser = when)]
    since: Timestamp,
    /// Only lines that this regular expression matches
    #[arg(long, value_name = "PATTERN", value_parser = regex::Regex::new)]
    grep: Option<regex::Regex>,
    /// Go on until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

fn when(text: &str) -> std::result::Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || format!("`{text}` is neither a time nor a while such as 30s, 10m, 2h or 3d");
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .and_then(|seconds| Timestamp::now().checked_sub(seconds.seconds()).ok())
        .ok_or_else(wrong)
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let session = Session::enter(&arguments.place, context).await?;
    let ground = session.ground(&Watching::NONE, context);
    let wish = LogWish {
        services: &arguments.services,
        since: arguments.since,
        grep: arguments.grep.clone(),
        follow: arguments.follow,
    };
    let (paint, shape) = (context.terminal.paint(), context.terminal.output());
    let order: Vec<String> = session.environment.services.keys().cloned().collect();
    let mut out = std::io::stdout();
    let mut tell = |line: &LogLine| {
        let text = match shape {
            Output::Json => serde_json::to_string(line).or_fail(|| "can't write a log line as JSON".to_owned())?,
            Output::Human => {
                let index = order.iter().position(|name| *name == line.service).unwrap_or(0);
                let task = line.task.get(..8).unwrap_or(&line.task);
                let at = line.at.round(Unit::Second).unwrap_or(line.at).strftime("%H:%M:%S");
                format!("{} {}", paint.source(index, format!("{at} {} {task} |", line.service)), line.text)
            }
        };
        writeln!(out, "{text}").map_err(|error| stdout_failure(&error))
    };
    deploy::logs(&ground, &wish, &mut tell).await?;
    Ok(Outcome::Done)
}

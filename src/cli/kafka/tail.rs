use std::io::IsTerminal;

use super::{Cluster, Context, Outcome, blocking};
use crate::failure::{Failure, Result};
use crate::kafka::{Format, From, Moment, Template, tail};
use crate::terminal::Output;

/// Follow topics: print their messages as they come
///
/// Topics are names, globs such as 'video.*', or '/regular expressions/'. Without --from only new messages are shown.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify kafka tail video.created\n  \
                        streamify kafka tail 'video.*' --from 10m --grep holiday\n  \
                        streamify kafka tail video.created --from beginning --exit-at-end --output json | jq .value\n  \
                        streamify kafka tail video.created --from -5 --format '%k %s\\n'")]
pub(super) struct Arguments {
    /// Names, globs or /regular expressions/
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// beginning, end, -N (the last N messages), a time ago (10m, 2h30m, 3d) or RFC 3339
    #[arg(long, default_value = "end", allow_hyphen_values = true, value_name = "WHERE")]
    from: From,
    /// Stop at this time: a time ago, now, or RFC 3339
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// Stop after so many messages
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Stop at the end that the topics have now
    #[arg(short, long)]
    exit_at_end: bool,
    /// Only messages whose value matches this regular expression
    #[arg(long, value_name = "REGEX")]
    grep: Option<regex::bytes::Regex>,
    /// Only messages whose key matches this regular expression
    #[arg(long, value_name = "REGEX")]
    key: Option<regex::bytes::Regex>,
    /// Only this partition; may be given several times
    #[arg(short, long = "partition", value_name = "N")]
    partitions: Vec<i32>,
    /// `value`, or a template of %s value, %k key, %t topic, %p partition, %o offset, %T milliseconds, %d time, %S and %K lengths, %h headers
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Template>,
    #[command(flatten)]
    cluster: Cluster,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let connection = arguments.cluster.connection(context).await?;
    let terminal = &context.terminal;
    let format = match (&arguments.format, terminal.output()) {
        (Some(_), Output::Json) => {
            return Err(Failure::usage("--format and --output json exclude each other"));
        }
        (Some(template), Output::Human) => Format::Template(template.clone()),
        (None, Output::Json) => Format::Json,
        (None, Output::Human) => {
            Format::Human { colour: terminal.paint().enabled(), pretty: std::io::stdout().is_terminal() }
        }
    };
    let options = tail::Options {
        topics: arguments.topics.clone(),
        partitions: arguments.partitions.clone(),
        from: arguments.from,
        to: arguments.to,
        count: arguments.count,
        exit_at_end: arguments.exit_at_end,
        grep: arguments.grep.clone(),
        key: arguments.key.clone(),
        format,
    };
    let stop = context.interrupt.clone();
    let summary = blocking(move || tail::tail(&connection, &options, &mut std::io::stdout().lock(), &stop)).await?;
    if terminal.is_live() {
        terminal.report().note(&format!(
            "{} of {} messages in {:.1} s",
            summary.shown,
            summary.read,
            summary.took.as_secs_f64()
        ));
    }
    Ok(Outcome::Done)
}

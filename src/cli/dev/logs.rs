use std::io::Write;
use std::time::Duration;

use super::super::{Context, Outcome};
use super::docker;
use super::runtime::{Chosen, choose, embedded_services};
use crate::failure::{Failure, Result};
use crate::settings::Service;
use crate::stack::Stack;
use crate::stack::docker::Wanted;
use crate::stack::logs::{Filter, Follower, Line, moment};
use crate::terminal::{Output, stdout_failure};

/// Show what the services printed, merged by time; also when they are down
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev logs -f\n  streamify dev logs backend kafka --since 10m\n  \
                        streamify dev logs --grep 'ERROR|panic' --tail 20 --timestamps")]
pub(super) struct Arguments {
    /// Only these
    services: Vec<String>,
    /// Go on with what comes, across restarts
    #[arg(short, long)]
    follow: bool,
    /// From this time on: 30s, 10m, 2h, 1d ago, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<jiff::Timestamp>,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "follow")]
    until: Option<jiff::Timestamp>,
    /// Only the last lines of each service
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    /// Only lines that match
    #[arg(long, value_name = "REGEX")]
    grep: Option<regex::Regex>,
    /// With the time of each line
    #[arg(short, long)]
    timestamps: bool,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    match choose(choice, context).await? {
        Chosen::Docker(place) => {
            let wanted = Wanted {
                services: arguments.services.iter().cloned().collect(),
                since: arguments.since,
                until: arguments.until,
                tail: arguments.tail,
                pattern: arguments.grep.clone(),
            };
            docker::logs::show(&place, &wanted, arguments.follow, arguments.timestamps, context).await?;
        }
        Chosen::Embedded => embedded(arguments, context).await?,
    }
    Ok(Outcome::Done)
}

async fn embedded(arguments: &Arguments, context: &Context) -> Result<()> {
    let stack = Stack::of(context.settings()?);
    let filter = Filter { since: arguments.since, tail: arguments.tail, pattern: arguments.grep.clone() };
    let asked = embedded_services(&arguments.services)?;
    let services = if asked.is_empty() { Service::ALL.to_vec() } else { asked.clone() };
    let mut names: Vec<&str> = services.into_iter().map(Service::name).collect();
    if asked.is_empty() {
        names.push("migrations");
    }
    let mut followers: Vec<_> = names.iter().map(|name| Follower::new(name, stack.log(name))).collect();
    let mut lines = Vec::new();
    for follower in &mut followers {
        lines.extend(follower.existing(&filter)?);
    }
    lines.retain(|line| arguments.until.is_none_or(|until| line.time <= until));
    print(lines, arguments.timestamps, context)?;
    if arguments.follow {
        go_on(&mut followers, &filter, arguments.timestamps, context).await?;
    }
    Ok(())
}

/// What comes from now on, until Ctrl-C.
pub(super) async fn follow(stack: &Stack<'_>, context: &Context) -> Result<()> {
    let mut followers: Vec<_> =
        Service::ALL.iter().map(|service| Follower::new(service.name(), stack.log(service.name()))).collect();
    for follower in &mut followers {
        follower.more()?;
    }
    go_on(&mut followers, &Filter::default(), false, context).await
}

async fn go_on(followers: &mut [Follower], filter: &Filter, timestamps: bool, context: &Context) -> Result<()> {
    loop {
        tokio::select! {
            () = context.interrupt.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        let mut lines = Vec::new();
        for follower in &mut *followers {
            lines.extend(follower.more()?.into_iter().filter(|line| filter.wants(line)));
        }
        print(lines, timestamps, context)?;
    }
}

fn print(mut lines: Vec<Line>, timestamps: bool, context: &Context) -> Result<()> {
    lines.sort_by_key(|line| line.time);
    let paint = context.terminal.paint();
    let mut out = context.terminal.stdout();
    for line in lines {
        let text = if context.terminal.output() == Output::Json {
            serde_json::to_string(&line).map_err(|error| Failure::failed("can't write a line").because(&error))?
        } else {
            let index = Service::ALL.iter().position(|service| service.name() == line.service).unwrap_or(5);
            let time = if timestamps { format!("{} ", paint.dim(format!("{:.3}", line.time))) } else { String::new() };
            format!("{} {time}{}", paint.source(index, format!("{:10} |", line.service)), line.text)
        };
        writeln!(out, "{text}").map_err(|error| stdout_failure(&error))?;
    }
    out.flush().map_err(|error| stdout_failure(&error))
}

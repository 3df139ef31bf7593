//! The project's figures, each beside its peer's in the same run: `cargo bench --bench figures -- [FIGURE...]`.
//!
//! `benches/README.md` tells how each is measured. Results are on stdout; what is going on is on stderr.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, without the tool's terminal")]

mod database;
mod deploy;
mod dev_up;
mod docker;
mod events;
mod http;
mod image;
mod lambda;
mod load;
mod machine;
mod process;
mod readers;
mod report;
mod server;
mod stack;
mod startup;
mod tail;
mod topic;
// The worlds that the tests play, of which a figure needs a part.
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../../tests/support/mod.rs"]
mod support;
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../../tests/deploy/world.rs"]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use report::{Line, Report};
use stack::Stack;

/// What goes wrong is told to a person and ends the figure; nobody handles it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measure the project's figures beside its peers'
#[derive(Parser)]
struct Arguments {
    /// Which figures; all of them when none is named
    figures: Vec<Figure>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// End with status 1 when a target is missed
    #[arg(long)]
    check: bool,
    /// Shorter and fewer runs: for trying the harness, not for figures
    #[arg(long)]
    quick: bool,
    /// A database server to use instead of a stack of its own; a database is made in it and dropped again
    #[arg(long, value_name = "URL", requires = "kafka")]
    database: Option<String>,
    /// A broker to use instead of a stack of its own, as host:port; events are written to its topic `video.created`
    #[arg(long, value_name = "BROKER", requires = "database")]
    kafka: Option<String>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// How long `streamify --version` takes
    Startup,
    /// Requests per second, latency, CPU time and memory of the backend
    Http,
    /// How long an event takes from the answered request to the WebSocket frame
    Events,
    /// How long `dev up` takes
    DevUp,
    /// How fast `kafka tail` reads
    Tail,
    /// How long the Docker runtime takes
    Docker,
    /// How long it takes to build and push an image
    Image,
    /// How long the backend takes to start as a function of AWS Lambda
    Lambda,
    /// What a deploy costs above the rollouts that it waits for
    Deploy,
}

/// For the few things that wait: one thread, so that it takes little from what is measured.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(complete) => ExitCode::from(u8::from(!complete)),
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Whether every figure was measured and, with `--check`, every target met.
fn measure(arguments: &Arguments) -> Result<bool> {
    let chosen: &[Figure] =
        if arguments.figures.is_empty() { Figure::value_variants() } else { arguments.figures.as_slice() };
    let needs_stack =
        chosen.iter().any(|figure| matches!(figure, Figure::Http | Figure::Events | Figure::Tail | Figure::Lambda));
    let mut report = Report::new(machine::facts());
    let stack = match (&arguments.database, &arguments.kafka) {
        (Some(database), Some(kafka)) => Some(Stack::given(database, kafka)),
        _ if needs_stack => Some(Stack::start()?),
        _ => None,
    };
    for figure in chosen {
        let name = figure.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        eprintln!("measuring {name}");
        match lines(*figure, stack.as_ref(), arguments.quick) {
            Ok(lines) => report.add(&name, lines),
            Err(error) => report.failed(&name, with_causes(&*error)),
        }
    }
    drop(stack);
    print!("{report}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.json()?).map_err(|error| format!("can't write {}: {error}", path.display()))?;
    }
    Ok(report.is_complete() && (!arguments.check || report.all_met()))
}

/// What happened, and why.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn lines(figure: Figure, stack: Option<&Stack>, quick: bool) -> Result<Vec<Line>> {
    let stack = || stack.ok_or("this figure needs a stack");
    match figure {
        Figure::Startup => startup::measure(quick),
        Figure::Http => http::measure(stack()?, quick),
        Figure::Events => events::measure(stack()?, quick),
        Figure::DevUp => dev_up::measure(quick),
        Figure::Tail => tail::measure(stack()?, quick),
        Figure::Docker => docker::measure(quick),
        Figure::Image => image::measure(quick),
        Figure::Lambda => lambda::measure(stack()?, quick),
        Figure::Deploy => deploy::measure(quick),
    }
}

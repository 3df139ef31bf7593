//! The backend's figures beside the peers', in turns, on one database server and one broker.

use std::time::Duration;

use crate::database::Database;
use crate::load::{Request, Sample, run_load};
use crate::process::median;
use crate::report::{Line, Target, Unit};
use crate::server::{Kind, Server, install_peers};
use crate::stack::Stack;
use crate::{Result, runtime, topic};

/// What all turns of one server gave.
struct Turns {
    kind: Kind,
    list: Vec<Sample>,
    create: Vec<Sample>,
    /// Bytes.
    memory: Vec<f64>,
}

pub fn measure(stack: &Stack, quick: bool) -> Result<Vec<Line>> {
    install_peers()?;
    runtime()?.block_on(async {
        topic::ensure(&stack.kafka, topic::EVENTS).await?;
        let database = Database::create(&stack.database).await?;
        eprintln!("  PostgreSQL {}", database.version().await?);
        let turns = all_turns(stack, &database, quick).await;
        database.drop().await?;
        lines(&turns?)
    })
}

async fn all_turns(stack: &Stack, database: &Database, quick: bool) -> Result<Vec<Turns>> {
    let (rounds, seconds) = if quick { (1, 2) } else { (3, 8) };
    let mut turns = Kind::ALL.map(|kind| Turns { kind, list: vec![], create: vec![], memory: vec![] });
    for round in 1..=rounds {
        for turn in &mut turns {
            eprintln!("  round {round} of {rounds}: {}", turn.kind.name());
            database.seed().await?;
            take_turn(turn, stack, database, Duration::from_secs(seconds)).await?;
        }
    }
    Ok(turns.into())
}

/// One server alone on the machine, so that none pays for another.
async fn take_turn(turn: &mut Turns, stack: &Stack, database: &Database, duration: Duration) -> Result<()> {
    let server = Server::start(turn.kind, &database.url, &stack.kafka).await?;
    // Node compiles what has become hot, and the pools fill.
    let warm_up = duration / 2;
    run_load(&server, Request::List, warm_up)?;
    turn.list.push(run_load(&server, Request::List, duration)?);
    run_load(&server, Request::Create, warm_up)?;
    turn.create.push(run_load(&server, Request::Create, duration)?);
    turn.memory.push(server.process.peak_memory()?);
    Ok(())
}

fn lines(turns: &[Turns]) -> Result<Vec<Line>> {
    let of = |kind: Kind| turns.iter().find(|turn| turn.kind == kind).ok_or("a server had no turn");
    let ours = of(Kind::Ours)?;
    let mut lines = Vec::new();
    for peer in [of(Kind::Prisma)?, of(Kind::Pg)?] {
        let is_prisma = peer.kind == Kind::Prisma;
        let name = peer.kind.name();
        for (request, ours, theirs, times) in
            [(Request::List, &ours.list, &peer.list, 5.0), (Request::Create, &ours.create, &peer.create, 3.0)]
        {
            let line = |what: &str, unit: Unit, value: fn(&Sample) -> f64, target: Option<Target>| {
                let middle = |samples: &[Sample]| median(&samples.iter().map(value).collect::<Vec<_>>());
                let line =
                    Line::new(format!("{}: {what}", request.name()), unit, middle(ours)).beside(name, middle(theirs));
                match target {
                    Some(target) => line.target(target),
                    None => line,
                }
            };
            let only_prisma = |target: Target| is_prisma.then_some(target);
            let share = if is_prisma { 1.0 / 5.0 } else { 1.0 / 3.0 };
            lines.extend([
                line("requests", Unit::PerSecond, |s| s.per_second, only_prisma(Target::RatioAtLeast(times))),
                line("p99", Unit::Time, |s| s.p99, only_prisma(Target::RatioAtMost(0.5))),
                line("CPU time each", Unit::Time, |s| s.cpu, Some(Target::RatioAtMost(share))),
            ]);
        }
        let memory = Line::new("resident memory at its peak", Unit::Memory, median(&ours.memory))
            .beside(name, median(&peer.memory));
        lines.push(if is_prisma { memory.target(Target::RatioAtMost(0.2)) } else { memory });
    }
    Ok(lines)
}

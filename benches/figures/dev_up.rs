//! How long the local stack takes from `dev up` to healthy.

use std::process::Command;

use crate::Result;
use crate::process::{median, run, time};
use crate::report::{Line, Target, Unit};
use crate::stack::Project;

pub fn measure(quick: bool) -> Result<Vec<Line>> {
    let (warm_rounds, no_op_rounds) = if quick { (1, 3) } else { (5, 20) };
    let project = Project::new()?;
    // The first start makes the database's and the broker's folders; it may fetch what is missing.
    let first = timed(&mut project.up_command())?;
    let mut warm = Vec::new();
    for _ in 0..warm_rounds {
        run(&mut project.dev("down"))?;
        warm.push(timed(&mut project.up_command())?);
    }
    let mut no_op = Vec::new();
    for _ in 0..no_op_rounds {
        no_op.push(timed(&mut project.up_command())?);
    }
    Ok(vec![
        Line::new("first up", Unit::Time, first),
        Line::new("warm up to healthy", Unit::Time, median(&warm)).target(Target::AtMost(3.0)),
        Line::new("up that has nothing to do", Unit::Time, median(&no_op)).target(Target::AtMost(0.2)),
    ])
}

fn timed(command: &mut Command) -> Result<f64> {
    time(command).map_err(|error| format!("{error}; run it by hand to see why").into())
}

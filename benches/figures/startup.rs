//! How long it takes to start and say a version: what every use of the tool costs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::{STREAMIFY, median, run, time};
use crate::report::{Line, Target, Unit};

const AWS_VERSION: &str = "1.45.*";

pub fn measure(quick: bool) -> Result<Vec<Line>> {
    let rounds = if quick { 20 } else { 200 };
    let slow_rounds = if quick { 2 } else { 10 };
    let aws = aws()?;
    let (mut ours, mut kcat, mut slow) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        ours.push(time(Command::new(STREAMIFY).arg("--version"))?);
        kcat.push(time(Command::new("kcat").arg("-V"))?);
        if round % (rounds / slow_rounds) == 0 {
            slow.push(time(Command::new(&aws).arg("--version"))?);
        }
    }
    let ours = median(&ours);
    Ok(vec![
        Line::new("--version", Unit::Time, ours).beside("kcat -V", median(&kcat)).target(Target::RatioAtMost(2.0)),
        Line::new("--version", Unit::Time, ours)
            .beside("aws --version", median(&slow))
            .target(Target::RatioAtMost(1.0 / 50.0)),
    ])
}

/// The AWS CLI that is installed, or one of our own, installed once below the build's folder.
fn aws() -> Result<PathBuf> {
    if Command::new("aws").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok("aws".into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws");
    let program = folder.join("bin/aws");
    if !program.exists() {
        eprintln!("  installing the AWS CLI into {}", folder.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let requirement = format!("awscli=={AWS_VERSION}");
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", &requirement]))?;
    }
    Ok(program)
}

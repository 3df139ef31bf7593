//! How fast `kafka tail` reads a topic to its end, beside kcat.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::process::{STREAMIFY, median, time};
use crate::report::{Line, Target, Unit};
use crate::stack::Stack;
use crate::{Result, runtime, topic};

const TOPIC: &str = "streamify.figures";

pub fn measure(stack: &Stack, quick: bool) -> Result<Vec<Line>> {
    let (messages, rounds) = if quick { (100_000, 1) } else { (3_000_000, 5) };
    let runtime = runtime()?;
    runtime.block_on(topic::ensure(&stack.kafka, TOPIC))?;
    let lines = compare(&stack.kafka, messages, rounds);
    runtime.block_on(topic::delete(&stack.kafka, TOPIC))?;
    lines
}

fn compare(broker: &str, messages: u32, rounds: usize) -> Result<Vec<Line>> {
    eprintln!("  writing {messages} messages");
    topic::fill(broker, TOPIC, messages)?;
    let (mut plain, mut json) = (ours(broker, &["--format", "value"]), ours(broker, &["--output", "json"]));
    let (mut kcat_plain, mut kcat_json) = (kcat(broker, &[]), kcat(broker, &["-J"]));
    // Fast and wrong would be no figure.
    for command in [&mut plain, &mut json] {
        let lines = count_lines(command)?;
        if lines != u64::from(messages) {
            return Err(format!("{command:?} printed {lines} lines of {messages}").into());
        }
    }
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 1..=rounds {
        eprintln!("  round {round} of {rounds}");
        for (command, times) in [&mut plain, &mut kcat_plain, &mut json, &mut kcat_json].into_iter().zip(&mut times) {
            times.push(time(command)?);
        }
    }
    let [plain, kcat_plain, json, kcat_json] = times.map(|times| median(&times));
    let what = |shape: &str| format!("{messages} messages, {shape}");
    Ok(vec![
        Line::new(what("values"), Unit::Time, plain).beside("kcat", kcat_plain).target(Target::RatioAtMost(1.0)),
        Line::new(what("JSON"), Unit::Time, json).beside("kcat -J", kcat_json).target(Target::RatioAtMost(0.2)),
    ])
}

fn ours(broker: &str, shape: &[&str]) -> Command {
    let mut command = Command::new(STREAMIFY);
    command.args(["kafka", "tail", TOPIC, "--from", "beginning", "--exit-at-end", "--brokers", broker]).args(shape);
    command
}

fn kcat(broker: &str, shape: &[&str]) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-C", "-b", broker, "-t", TOPIC, "-o", "beginning", "-e", "-q"]).args(shape);
    command
}

fn count_lines(command: &mut Command) -> Result<u64> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().ok_or("a piped output is missing")?;
    let mut buffer = vec![0; 256 * 1024];
    let mut lines = 0;
    loop {
        match out.read(&mut buffer)? {
            0 => break,
            #[allow(clippy::naive_bytecount, reason = "nothing is timed here")]
            read => lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(lines) } else { Err(format!("{command:?} ended with {status}").into()) }
}

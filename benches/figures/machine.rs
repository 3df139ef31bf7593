//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::STREAMIFY;
use crate::server::peer_node;

/// Names and values, for the head of the table.
pub fn facts() -> Vec<(String, String)> {
    let mut facts = vec![
        ("processor".to_owned(), processor()),
        ("memory".to_owned(), memory().map_or_else(unknown, |bytes| format!("{:.1} GB", bytes / 1e9))),
        ("system".to_owned(), first_line("uname", &["-sr"])),
        ("streamify".to_owned(), first_line(STREAMIFY, &["--version"])),
        ("kcat".to_owned(), line_with("kcat", &["-V"], "Version")),
        ("wrk".to_owned(), first_line("wrk", &["-v"])),
        ("node".to_owned(), line_with(peer_node(), &["--version"], "")),
    ];
    if cfg!(debug_assertions) {
        facts.push(("attention".to_owned(), "built without optimisation: these are no figures".to_owned()));
    }
    facts
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name));
    format!("{}, {cores} cores", model.map_or_else(unknown, |name| name.trim().to_owned()))
}

fn memory() -> Option<f64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes: f64 = text.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    line_with(program, arguments, "")
}

/// The first line of what a program says, on whichever stream, that has `part` in it.
fn line_with(program: impl AsRef<Path>, arguments: &[&str], part: &str) -> String {
    let Ok(output) = Command::new(program.as_ref()).args(arguments).output() else { return "not installed".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().find(|line| line.contains(part)).map_or_else(unknown, |line| line.trim().to_owned())
}

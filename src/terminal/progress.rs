//! The listeners: one drawing in place, one writing lines, one writing JSON, one saying only what hurts.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Paint;
use crate::report::{Event, Report, Unit};

/// Writes one line to standard error; a closed standard error leaves nobody to tell.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A duration as people say it: `85 ms`, `1.7 s`, `2 min 5 s`.
pub(super) fn spoken(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", took.as_millis())
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {} s", took.as_secs() / 60, took.as_secs() % 60)
    }
}

/// The lines that look the same on every listener for people.
fn remark(paint: Paint, event: &Event) -> Option<String> {
    match event {
        Event::Note(text) => Some(text.clone()),
        Event::Warning(text) => Some(format!("{} {text}", paint.warning("warning:"))),
        Event::Hint(text) => Some(format!("{} {text}", paint.note("hint:"))),
        Event::Line { source, text } => Some(format!("{} {text}", paint.dim(format!("{source} |")))),
        _ => None,
    }
}

/// Warnings only.
pub(super) struct Silent {
    pub(super) paint: Paint,
}

impl Report for Silent {
    fn event(&self, event: Event) {
        if matches!(event, Event::Warning(_))
            && let Some(text) = remark(self.paint, &event)
        {
            line(&text);
        }
    }
}

/// A line per change of state, for logs.
pub(super) struct Plain {
    pub(super) paint: Paint,
}

impl Report for Plain {
    fn event(&self, event: Event) {
        let paint = self.paint;
        match &event {
            Event::Started { name, doing } | Event::Doing { name, doing } => line(&format!("{name}: {doing}")),
            Event::Finished { name, how, took } => {
                line(&format!("{name}: {} {}", paint.good(how), paint.dim(format!("({})", spoken(*took)))));
            }
            Event::Failed { name, why } => line(&format!("{name}: {} {why}", paint.bad("failed:"))),
            // How far a download is would flood a log; its end is said.
            Event::Advanced { .. } => {}
            _ => line(&remark(paint, &event).unwrap_or_default()),
        }
    }
}

/// An object per line, for programs.
pub(super) struct JsonLines;

impl Report for JsonLines {
    fn event(&self, event: Event) {
        use serde_json::json;
        let value = match event {
            Event::Started { name, doing } => json!({"event": "started", "name": name, "doing": doing}),
            Event::Doing { name, doing } => json!({"event": "doing", "name": name, "doing": doing}),
            Event::Advanced { name, done, total, unit } => {
                let unit = if unit == Unit::Bytes { "bytes" } else { "items" };
                json!({"event": "advanced", "name": name, "done": done, "total": total, "unit": unit})
            }
            Event::Finished { name, how, took } => {
                json!({"event": "finished", "name": name, "how": how, "seconds": took.as_secs_f64()})
            }
            Event::Failed { name, why } => json!({"event": "failed", "name": name, "why": why}),
            Event::Note(text) => json!({"event": "note", "text": text}),
            Event::Warning(text) => json!({"event": "warning", "text": text}),
            Event::Hint(text) => json!({"event": "hint", "text": text}),
            Event::Line { source, text } => json!({"event": "line", "source": source, "text": text}),
        };
        line(&value.to_string());
    }
}

/// A line a task, redrawn in place.
pub(super) struct Live {
    paint: Paint,
    bars: MultiProgress,
    tasks: Mutex<HashMap<String, ProgressBar>>,
}

impl Live {
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint, bars: MultiProgress::new(), tasks: Mutex::default() }
    }

    fn task(&self, name: &str) -> ProgressBar {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks
            .entry(name.to_owned())
            .or_insert_with(|| {
                let bar =
                    self.bars.add(ProgressBar::new_spinner().with_style(style("{spinner} {prefix:12} {wide_msg}")));
                bar.set_prefix(name.to_owned());
                bar.enable_steady_tick(Duration::from_millis(90));
                bar
            })
            .clone()
    }

    fn end(&self, name: &str, mark: &str, text: &str) {
        let bar = self.task(name);
        bar.set_style(style("{msg}"));
        bar.finish_with_message(format!("{mark} {name:12} {text}"));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Templates are constants of this file, tried by the test below: a wrong one falls back to the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
        .progress_chars("━╸ ")
}

impl Report for Live {
    fn event(&self, event: Event) {
        match &event {
            Event::Started { name, doing } | Event::Doing { name, doing } => {
                let bar = self.task(name);
                bar.set_style(style("{spinner} {prefix:12} {wide_msg}"));
                bar.set_message(doing.clone());
            }
            Event::Advanced { name, done, total, unit } => {
                let bar = self.task(name);
                if let Some(total) = total {
                    let counts =
                        if *unit == Unit::Bytes { "{bytes}/{total_bytes} {bytes_per_sec}" } else { "{pos}/{len}" };
                    bar.set_style(style(&format!("{{spinner}} {{prefix:12}} {{bar:24}} {counts} {{msg}}")));
                    bar.set_length(*total);
                }
                bar.set_position(*done);
            }
            Event::Finished { name, how, took } => {
                let took = self.paint.dim(format!("({})", spoken(*took)));
                self.end(name, &self.paint.good("✔"), &format!("{how} {took}"));
            }
            Event::Failed { name, why } => self.end(name, &self.paint.bad("✘"), why),
            _ => {
                let text = remark(self.paint, &event).unwrap_or_default();
                // `println` of a bar keeps the live lines below what is printed.
                if self.bars.println(&text).is_err() {
                    line(&text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken() {
        let spoken = [85, 1_700, 125_000].map(|millis| spoken(Duration::from_millis(millis)));
        assert_eq!(spoken, ["85 ms", "1.7 s", "2 min 5 s"]);
    }

    #[test]
    fn templates_are_valid() {
        for template in
            ["{spinner} {prefix:12} {wide_msg}", "{msg}", "{bar:24} {bytes}/{total_bytes} {bytes_per_sec} {msg}"]
        {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}

use super::super::{Context, Outcome};
use crate::failure::Result;
use crate::stack::{Grade, diagnose};
use crate::terminal::Table;

/// Check what the local stack needs, and say how to mend it
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev doctor\n  streamify dev doctor --output json")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, context: &Context) -> Result<Outcome> {
    let findings = diagnose(context.settings()?);
    context.terminal.result(
        |paint| {
            let mut table = Table::new(["check", "result", "found"]);
            for finding in &findings {
                let grade = match finding.grade {
                    Grade::Ok => paint.good("ok"),
                    Grade::Warn => paint.warning("warn"),
                    Grade::Fail => paint.bad("fail"),
                };
                table.row([paint.strong(finding.check), grade, finding.found.clone()]);
                if let Some(remedy) = &finding.remedy {
                    table.row([String::new(), String::new(), paint.note(remedy)]);
                }
            }
            table.text()
        },
        &findings,
    )?;
    let failed = findings.iter().any(|finding| finding.grade == Grade::Fail);
    Ok(if failed { Outcome::Exited(1) } else { Outcome::Done })
}

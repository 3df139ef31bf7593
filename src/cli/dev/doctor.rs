use super::super::{Context, Outcome};
use super::runtime::{Chosen, choose};
use crate::failure::{Kind, Result};
use crate::stack::{Finding, Grade, diagnose, docker};
use crate::terminal::Table;

/// Check what the local stack needs, and say how to mend it
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev doctor\n  streamify dev doctor --output json")]
pub(super) struct Arguments {}

pub(super) async fn run(_: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let findings = match choose(choice, context).await {
        Ok(Chosen::Docker(place)) => docker::diagnose(&place.engine, place.project().ok(), &settings.environment).await,
        Ok(Chosen::Embedded) => diagnose(settings),
        // That no daemon answers is a finding, with everything that was tried.
        Err(failure) if failure.kind == Kind::Unreachable => vec![Finding {
            check: "daemon",
            grade: Grade::Fail,
            found: failure.to_string(),
            remedy: failure.hints.first().cloned(),
        }],
        Err(failure) => return Err(failure),
    };
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

//! Applying the kept plan.

use std::time::Duration;

use serde::Serialize;

use super::Site;
use crate::failure::{Failure, Result};
use crate::infra::diagnostics::Diagnostic;
use crate::infra::saved::{self, Purpose, plan_file};
use crate::infra::stream::Listener;

/// What an apply came to.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    pub environment: String,
    pub purpose: Purpose,
    /// Addresses, in the order in which they were done.
    pub done: Vec<String>,
    pub failed: Vec<String>,
    pub seconds: f64,
    #[serde(skip)]
    pub failure: Option<Failure>,
}

impl Site<'_> {
    /// Applies the plan that is kept. The plan is used up by it, however it ends.
    ///
    /// # Errors
    /// Terraform can't be started. What fails in it is in the answer, with what was done before.
    pub async fn apply(&self, purpose: Purpose) -> Result<Applied> {
        let name = self.environment.name.clone();
        let (doing, command) = match purpose {
            Purpose::Apply => ("apply", "apply"),
            Purpose::Destroy => ("destroy", "destroy"),
        };
        let mut arguments = ["apply", "-json", "-input=false"].map(str::to_owned).to_vec();
        arguments.extend(self.lock_timeout());
        arguments.push(plan_file(self.folder()).display().to_string());
        let mut listener = Listener::new(self.report, self.is_live, doing);
        let mut interrupted = || {
            self.report.note(
                "Terraform was told to stop: it finishes what is in flight and saves its state. A second Ctrl-C leaves it \
                 alone with that.",
            );
        };
        let ended = self.runner().lines(&arguments, &mut |line| listener.line(line), &mut interrupted).await?;
        saved::forget(self.folder());
        let seconds = listener.elapsed();
        let mut applied = Applied {
            environment: name.clone(),
            purpose,
            done: std::mem::take(&mut listener.done),
            failed: std::mem::take(&mut listener.failed),
            seconds: rounded(seconds),
            failure: None,
        };
        if ended.status.success() {
            return Ok(applied);
        }
        for (address, doing) in &listener.running {
            self.report.failed(address, &format!("{doing} was cut short"));
        }
        let again =
            format!("What was done is in the state; `streamify infra {command} {name}` again goes on from there.");
        if ended.is_interrupted {
            self.report.note(&format!(
                "Terraform has stopped and saved its state: {} resources were done.",
                applied.done.len()
            ));
            self.report.hint(&again);
            applied.failure = Some(Failure::interrupted(2));
            return Ok(applied);
        }
        let errors: Vec<Diagnostic> = listener.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
        let failure = if errors.is_empty() {
            crate::infra::diagnostics::failure_of_text(doing, &name, &ended.err)
        } else {
            self.failure(doing, &errors)
        };
        let is_begun = !applied.done.is_empty() || !applied.failed.is_empty();
        let failure = match applied.failed.as_slice() {
            [] => failure,
            failed => Failure { message: format!("{}: {}", failure.message, failed.join(", ")), ..failure },
        };
        applied.failure = Some(if is_begun { failure.hint(again) } else { failure });
        Ok(applied)
    }
}

/// To the tenth.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

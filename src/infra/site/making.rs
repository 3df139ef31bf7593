//! Making a plan.

use jiff::Timestamp;

use super::Site;
use crate::failure::{Failure, Result};
use crate::infra::plan::{Plan, Shown};
use crate::infra::run::private_folder;
use crate::infra::saved::{self, Purpose, Saved, plan_file};
use crate::infra::stream::Listener;

/// What is planned.
#[derive(Clone, Debug)]
pub struct Making {
    pub purpose: Purpose,
    /// Only these addresses, where there are any.
    pub targets: Vec<String>,
    /// Whether it is kept for `apply`. One that is not leaves the kept one where it is.
    pub is_kept: bool,
}

/// A plan that was made, or one that was kept and is fresh.
pub struct Planned {
    pub plan: Plan,
    pub shown: Shown,
    /// Made before, by `plan`.
    pub is_saved: bool,
}

impl Site<'_> {
    /// Plans.
    ///
    /// # Errors
    /// Terraform's own, whole; a lock.
    pub async fn plan(&self, making: &Making) -> Result<Planned> {
        self.initialise(true).await?;
        private_folder(self.folder())?;
        if making.is_kept {
            saved::forget(self.folder());
        }
        let file = if making.is_kept { plan_file(self.folder()) } else { self.folder().join("drift") };
        // Before the plan: what changes meanwhile makes it stale, and never fresh by mistake.
        let basis = self.basis(making.purpose).await?;
        let mut arguments = vec!["plan".to_owned(), "-json".to_owned(), "-input=false".to_owned()];
        arguments.push(format!("-out={}", file.display()));
        arguments.extend(self.lock_timeout());
        if making.purpose == Purpose::Destroy {
            arguments.push("-destroy".to_owned());
        }
        arguments.extend(making.targets.iter().map(|target| format!("-target={target}")));
        let name = if making.is_kept { "plan" } else { "drift" };
        let mut listener = Listener::new(self.report, self.is_live, name);
        self.report.started(name, "looking at what there is");
        let mut interrupted = || ();
        let ended = self.runner().lines(&arguments, &mut |line| listener.line(line), &mut interrupted).await?;
        if ended.is_interrupted {
            let _ = std::fs::remove_file(&file);
            self.report.failed(name, "interrupted; nothing was changed");
            return Err(Failure::interrupted(2));
        }
        if !ended.status.success() {
            let _ = std::fs::remove_file(&file);
            self.report.failed(name, "Terraform could not plan");
            if listener.diagnostics.is_empty() {
                return Err(crate::infra::diagnostics::failure_of_text(name, &self.environment.name, &ended.err));
            }
            return Err(self.failure(name, &listener.diagnostics));
        }
        let shown = self.show(Some(&file)).await;
        if !making.is_kept || shown.is_err() {
            let _ = std::fs::remove_file(&file);
        }
        let shown = shown?;
        let plan = shown.plan(&self.environment.name);
        if making.is_kept {
            Saved { basis, made_at: Timestamp::now(), targets: making.targets.clone() }.store(self.folder())?;
        }
        let words = if making.is_kept { plan.words() } else { format!("{} differ", plan.drift.len()) };
        self.report.finished(name, &words, listener.elapsed());
        Ok(Planned { plan, shown, is_saved: false })
    }

    /// The kept plan, where it still says what would happen.
    ///
    /// # Errors
    /// The state can't be read.
    pub async fn fresh(&self, purpose: Purpose) -> Result<Option<Planned>> {
        let Some(saved) = Saved::load(self.folder()) else { return Ok(None) };
        let name = &self.environment.name;
        if saved.basis.purpose != purpose {
            let other = if saved.basis.purpose == Purpose::Destroy { "destroy" } else { "apply" };
            self.report
                .note(&format!("The kept plan is one for `streamify infra {other} {name}`; another one is made."));
            return Ok(None);
        }
        self.initialise(true).await?;
        if let Some(why) = saved.stale(&self.basis(purpose).await?) {
            self.report.note(&format!("The kept plan is not used: {why}."));
            return Ok(None);
        }
        let shown = self.show(Some(&plan_file(self.folder()))).await?;
        let plan = shown.plan(name);
        Ok(Some(Planned { plan, shown, is_saved: true }))
    }
}

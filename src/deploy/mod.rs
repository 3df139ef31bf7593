//! Deploys to ECS on Fargate: observe, plan, show, apply in stages, watch, record; and what is done with it later.
//!
//! [`deploy`] is the whole way; [`Plan`] is what it is going to do, as pure data. The verdict of a rollout comes from
//! the deployment of our own service revision. `docs/decisions/0010-rollouts.md` says why it is as it is.

mod cloud;
mod difference;
mod exec;
mod forget;
pub mod lambda;
mod lock;
mod logs;
mod normal;
mod observe;
mod oneoff;
mod plan;
#[cfg(test)]
mod plan_tests;
mod record;
mod references;
mod render;
mod restart;
mod rollback;
mod run;
mod scale;
mod shape;
mod stages;
mod status;
mod story;
mod stream;
mod tasks;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::failure::Result;

pub use cloud::Cloud;
pub use difference::Difference;
pub use exec::{ExecWish, exec};
pub use forget::forget;
pub use lock::{Holder, LEASE, Owner};
pub use logs::{LogLine, LogWish, logs};
pub use oneoff::run_once;
pub use plan::{Plan, ServicePlan, Step};
pub use record::{Deployed, Ending, Purpose, Record, StageTime, Table};
pub use restart::restart;
pub use rollback::rollback;
pub use run::Ground;
pub use scale::scale;
pub use stages::{Wishes, deploy, plan};
pub use status::{ServiceStatus, Status, status};
pub use story::Story;
pub use watch::Verdict;

/// Whoever makes images: builds and pushes them, or only says what they would be.
pub trait Images {
    /// References by digest of the named images, by their names. With `push` they are in the registry afterwards;
    /// without it nothing is sent anywhere.
    fn ship<'a>(
        &'a self,
        names: &'a BTreeSet<String>,
        push: bool,
    ) -> LocalBoxFuture<'a, Result<BTreeMap<String, String>>>;
}

/// Whoever checks an environment before anything is changed.
pub trait Checks {
    /// Fails when a deploy would fail; says why, and changes nothing.
    fn verify(&self) -> LocalBoxFuture<'_, Result<()>>;
}

/// What a person says when a rollout is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes on without us.
    Detach,
    /// It is taken back.
    RollBack,
    /// We go on watching.
    GoOn,
}

/// Whoever can be asked.
pub trait Person: Send + Sync {
    /// What to do with the rollout that goes on. Where nobody can answer: [`Answer::Detach`].
    fn ask(&self) -> BoxFuture<'_, Answer>;
}

//! Deploying, and what is done with a deployment: a file per command, and what they have in common.

pub(super) mod deploy;
pub(super) mod diff;
mod docker_host;
pub(super) mod exec;
pub(super) mod history;
mod lambda;
pub(super) mod logs;
mod pipeline;
pub(super) mod restart;
pub(super) mod rollback;
pub(super) mod run;
pub(super) mod scale;
pub(super) mod status;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::aws::Aws;
use crate::deploy::{Answer, Cloud, Ground, LEASE, Owner, Person, Story, Table};
use crate::failure::{Failure, Result};
use crate::outputs::Outputs;
use crate::report::Report;
use crate::settings::{EnvironmentSettings, Target};

/// Which environment, and where its outputs are.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Place {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    /// Take Terraform's output `streamify` from this file
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,
}

/// How a rollout is watched.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Watching {
    /// Minutes until the tool stops to watch, such as 15 or 0.5 [default: the environment's, or 30]
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    timeout: Option<Duration>,
    /// Leave as soon as the last services are told; ECS goes on
    #[arg(long)]
    detach: bool,
    /// Minutes to wait while somebody else deploys [default: not at all]
    #[arg(long, value_name = "MINUTES")]
    wait: Option<u64>,
}

/// A time in minutes, at most a week.
fn minutes(text: &str) -> std::result::Result<Duration, String> {
    let minutes = text.parse::<f64>().ok().filter(|minutes| *minutes > 0.0 && *minutes <= 10_080.0);
    let minutes = minutes.ok_or_else(|| format!("`{text}` is no number of minutes between 0 and 10080"))?;
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

impl Watching {
    /// For what only looks.
    const NONE: Self = Self { timeout: None, detach: false, wait: None };
}

/// An environment on ECS, with everything that is needed to work on it.
pub(super) struct Session {
    pub(super) cloud: Arc<Cloud>,
    pub(super) environment: EnvironmentSettings,
    pub(super) outputs: Outputs,
    report: Arc<dyn Report>,
    person: Asking,
    owner: Owner,
    commit: Option<String>,
    lease: Duration,
}

impl Place {
    /// Whether the environment is functions.
    fn is_lambda(&self, context: &Context) -> Result<bool> {
        let settings = context.settings()?;
        Ok(settings.ship.environment(&self.environment, &settings.name)?.target == Target::Lambda)
    }

    /// The environment, where it is on a Docker host.
    fn on_docker(&self, context: &Context) -> Result<Option<EnvironmentSettings>> {
        let settings = context.settings()?;
        let environment = settings.ship.environment(&self.environment, &settings.name)?;
        Ok(Some(environment).filter(|environment| environment.target == Target::Docker))
    }
}

impl Session {
    /// The environment by its name; only those on Fargate have a session.
    pub(super) async fn enter(place: &Place, context: &Context) -> Result<Self> {
        let settings = context.settings()?;
        on_fargate(&settings.ship.environment(&place.environment, &settings.name)?)?;
        Self::on_aws(place, context).await
    }

    /// The environment by its name, whether its services or functions run in AWS.
    pub(super) async fn on_aws(place: &Place, context: &Context) -> Result<Self> {
        let settings = context.settings()?;
        let environment = settings.ship.environment(&place.environment, &settings.name)?;
        let outputs = Outputs::load(&environment, settings, place.outputs.as_deref()).await?;
        let aws = Aws::connect(&environment, &context.environment).await?;
        let variables = &context.environment;
        let lease = match variables.get("STREAMIFY_LEASE_SECONDS") {
            None => LEASE,
            Some(text) => Duration::from_secs(text.parse().ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
                Failure::usage(format!("the variable STREAMIFY_LEASE_SECONDS is not valid: {text}"))
                    .hint("It is a number of seconds, 1 or more.")
            })?),
        };
        let report = context.terminal.report();
        Ok(Self {
            cloud: Arc::new(Cloud::new(aws)),
            person: Asking { can_ask: context.terminal.can_ask(), report: Arc::clone(&report) },
            report,
            owner: pipeline::owner(variables),
            commit: variables.get("GITHUB_SHA").map(str::to_owned).or_else(|| commit(&settings.directory)),
            environment,
            outputs,
            lease,
        })
    }

    /// What the room needs to change something.
    pub(super) fn ground<'a>(&'a self, watching: &Watching, context: &'a Context) -> Ground<'a> {
        let of_environment = self.environment.deploy.timeout_minutes.unwrap_or(30);
        Ground {
            cloud: Arc::clone(&self.cloud),
            environment: &self.environment,
            outputs: &self.outputs,
            owner: self.owner.clone(),
            commit: self.commit.clone(),
            lease: self.lease,
            patience: watching.wait.map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
            timeout: watching.timeout.unwrap_or(Duration::from_secs(of_environment.saturating_mul(60))),
            detach: watching.detach,
            report: &*self.report,
            interrupt: &context.interrupt,
            person: &self.person,
        }
    }

    /// The lock and the history.
    pub(super) fn table(&self) -> Table {
        Table::new(&self.cloud, &self.outputs.deploys_table, &self.environment.name)
    }
}

/// Fails for environments that are not on ECS.
fn on_fargate(environment: &EnvironmentSettings) -> Result<()> {
    let name = &environment.name;
    match environment.target {
        Target::Fargate => Ok(()),
        Target::Docker => Err(Failure::usage(format!("`{name}` runs on a Docker host, and this is for ECS"))
            .hint("`streamify dev` works with what runs on a Docker host; deploy, rollback and history do as well.")),
        Target::Lambda => Err(Failure::usage(format!("`{name}` runs on AWS Lambda, and this is for ECS"))
            .hint("deploy, diff, rollback, history and status work with functions as well.")),
    }
}

/// The commit that is checked out, where there is git and a repository.
fn commit(folder: &Path) -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Asks on the terminal what to do with a rollout; without one it goes on alone.
struct Asking {
    can_ask: bool,
    report: Arc<dyn Report>,
}

impl Person for Asking {
    fn ask(&self) -> BoxFuture<'_, Answer> {
        Box::pin(async {
            if !self.can_ask {
                return Answer::Detach;
            }
            self.report
                .note("The rollout goes on in ECS. d: leave it alone · r: roll it back · anything else: watch on");
            let read = tokio::task::spawn_blocking(|| {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).map(|_| line)
            });
            match read.await {
                Ok(Ok(line)) => match line.trim().to_lowercase().as_str() {
                    "d" | "detach" => Answer::Detach,
                    "r" | "roll back" | "rollback" => Answer::RollBack,
                    _ => Answer::GoOn,
                },
                _ => Answer::Detach,
            }
        })
    }
}

/// Tells how a change ended: on standard output, and to the pipeline.
fn tell(story: &Story, context: &Context) -> Result<Outcome> {
    pipeline::tell(story, &context.environment)?;
    let failure = story.failure.clone();
    let json = json_of(story)?;
    context.terminal.report().note(&format!("{} requests to AWS", story.requests));
    // A failure in words is printed at the end; standard output then has nothing to say but JSON.
    if failure.is_none() || context.terminal.output() == crate::terminal::Output::Json {
        let paint = |paint: crate::terminal::Paint| format!("{} {}", paint.good("✔"), story.words());
        context.terminal.result(paint, &json)?;
    }
    match failure {
        None => Ok(Outcome::Done),
        Some(failure) => Err(failure),
    }
}

fn json_of(story: &Story) -> Result<Value> {
    let failed = |error: serde_json::Error| Failure::failed("can't write the result as JSON").because(&error);
    let mut value = serde_json::to_value(story).map_err(failed)?;
    value["changed"] = story.has_changed().into();
    value["steps"] = serde_json::to_value(story.steps()).map_err(failed)?;
    value["failure"] = match &story.failure {
        Some(failure) => json!({
            "kind": failure.kind.word(), "message": failure.message, "causes": failure.causes,
            "hints": failure.hints, "exit_code": failure.kind.exit_code(),
        }),
        None => Value::Null,
    };
    Ok(value)
}

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::LocalBoxFuture;

use super::super::{Context, Outcome};
use super::docker_host::{self, Wish};
use super::lambda;
use super::{Place, Session, Watching, tell};
use crate::deploy::{self, Checks, Images, Plan, Wishes};
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::settings::{EnvironmentSettings, RollbackOn, Target};
use crate::terminal::Paint;
use crate::verify::{Check, Subject, Verdict, verify};

/// Roll out to an environment, watched until the new revision is live
///
/// Images that are not given by --image are built and pushed; what streamify.yaml says of them is what is in them.
///
/// In stages: verify, lock, images, plan, migrations, register, update, watch, record. Nothing changes before the
/// migration has ended well; nothing is called a success but ECS's own word on our revision. A deploy that was cut
/// short is finished by the next one.
///
/// To functions of AWS Lambda: the program is uploaded, published as a version, migrated and started by it, and the
/// alias shifted to it in parts, watched by alarms and errors, and taken back by them. Then the page goes to its bucket.
///
/// On a Docker host (`local`): images are built or pulled, jobs run, and then container after container of the Compose
/// file is replaced behind its health check. The old ones are kept until all of it is good, and come back when it is not.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify deploy prod --dry-run\n  \
                        streamify deploy prod --image app=123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:…\n  \
                        streamify deploy prod --keep-images --rollback-on failure,alarm,timeout --timeout 15\n  \
                        streamify deploy prod --detach && streamify status prod\n  \
                        streamify deploy local --build\n\n\
                        Exit codes: 0 live or nothing to do, 1 failed, 5 rolled back, 6 timed out, 7 superseded, \
                        8 stopped")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) choice: Choice,
    #[command(flatten)]
    pub(super) watching: Watching,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Without the checks of `streamify verify`
    #[arg(long)]
    skip_verify: bool,
    /// Take the lock away from whoever holds it
    #[arg(long)]
    pub(super) break_lock: bool,
    /// On a Docker host: build images before
    #[arg(long)]
    build: bool,
}

/// What is deployed.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Choice {
    /// NAME=REFERENCE@sha256:…: an image that is pushed already; on a Docker host NAME is a service
    #[arg(long = "image", value_name = "NAME=REFERENCE", value_parser = image)]
    images: Vec<(String, String)>,
    /// Images that are not given stay as they run now
    #[arg(long)]
    keep_images: bool,
    /// What takes a rollout back: failure, alarm, timeout [default: the environment's, or failure,alarm]
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', hide_possible_values = true)]
    pub(super) rollback_on: Option<Vec<RollbackOn>>,
    /// Without the migration
    #[arg(long)]
    pub(super) skip_migration: bool,
}

fn image(text: &str) -> std::result::Result<(String, String), String> {
    let (name, reference) = text.split_once('=').ok_or("give NAME=REFERENCE@sha256:…")?;
    Ok((name.to_owned(), reference.to_owned()))
}

/// On ECS an image is what its digest says, whatever its tags say later.
fn check_digest(reference: &str) -> Result<()> {
    let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    match reference.split_once("@sha256:") {
        Some((repository, digest)) if !repository.is_empty() && is_digest(digest) => Ok(()),
        _ => Err(Failure::usage(format!(
            "`{reference}` names no image by its digest, as in REPOSITORY@sha256: and 64 hexadecimal digits"
        ))),
    }
}

impl Choice {
    pub(super) fn wishes(&self, session: &Session, context: &Context) -> Result<Wishes> {
        let images = &context.settings()?.ship.images;
        if let Some((name, _)) = self.images.iter().find(|(name, _)| !images.contains_key(name)) {
            let known: Vec<&str> = images.keys().map(String::as_str).collect();
            return Err(
                Failure::usage(format!("there is no image `{name}`")).hint(format!("There is {}.", known.join(", ")))
            );
        }
        self.images.iter().try_for_each(|(_, reference)| check_digest(reference))?;
        let usual = || vec![RollbackOn::Failure, RollbackOn::Alarm];
        let of_environment = session.environment.deploy.rollback_on.clone();
        Ok(Wishes {
            given: self.images.iter().cloned().collect(),
            keep_images: self.keep_images,
            images: images.clone(),
            rollback_on: self.rollback_on.clone().or(of_environment).unwrap_or_else(usual),
            skip_migration: self.skip_migration,
        })
    }
}

impl Arguments {
    fn refuse_what_only_ecs_has(&self) -> Result<()> {
        let given = [
            (self.choice.keep_images, "--keep-images"),
            (self.choice.rollback_on.is_some(), "--rollback-on"),
            (self.choice.skip_migration, "--skip-migration"),
            (self.break_lock, "--break-lock"),
            (self.watching.detach, "--detach"),
            (self.watching.wait.is_some(), "--wait"),
        ];
        match given.iter().find(|(is_given, _)| *is_given) {
            None => Ok(()),
            Some((_, flag)) => Err(Failure::usage(format!("{flag} is for environments on ECS")).hint("Leave it out.")),
        }
    }
}

impl Arguments {
    fn refuse_what_functions_have_not(&self) -> Result<()> {
        let given = [
            (!self.choice.images.is_empty(), "--image"),
            (self.choice.keep_images, "--keep-images"),
            (self.watching.detach, "--detach"),
            (self.build, "--build"),
        ];
        match given.iter().find(|(is_given, _)| *is_given) {
            None => Ok(()),
            Some((_, flag)) => {
                Err(Failure::usage(format!("{flag} is not for functions of AWS Lambda")).hint("Leave it out."))
            }
        }
    }
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let environment = settings.ship.environment(&arguments.place.environment, &settings.name)?;
    if environment.target == Target::Docker {
        arguments.refuse_what_only_ecs_has()?;
        let wish = Wish {
            images: &arguments.choice.images,
            build: arguments.build,
            dry_run: arguments.dry_run,
            timeout: arguments.watching.timeout,
        };
        return docker_host::deploy(&environment, &wish, context).await;
    }
    if environment.target == Target::Lambda {
        arguments.refuse_what_functions_have_not()?;
        return Box::pin(lambda::deploy(arguments, context)).await;
    }
    if arguments.build {
        return Err(Failure::usage("--build is for environments on a Docker host")
            .hint("Images for ECS are built and pushed by the deploy itself, or by `streamify image`."));
    }
    let session = Session::enter(&arguments.place, context).await?;
    let ground = session.ground(&arguments.watching, context);
    let wishes = arguments.choice.wishes(&session, context)?;
    let images = Building { environment: &session.environment, context };
    let report = context.terminal.report();
    let verifying = Verifying { session: &session, given: wishes.given.clone(), report: &*report };
    let checks: &dyn Checks = if arguments.skip_verify { &NoChecks } else { &verifying };
    if arguments.dry_run {
        let plan = deploy::plan(&ground, &images, checks, &wishes).await?;
        context.terminal.result(|paint| shown(paint, &plan), &plan)?;
        return Ok(Outcome::Done);
    }
    if arguments.break_lock {
        break_lock(&session, context).await?;
    }
    let paint = context.terminal.error_paint();
    let show = |plan: &Plan| {
        if !plan.is_empty() {
            report.note(shown(paint, plan).trim_end());
        }
    };
    let story = deploy::deploy(&ground, &images, checks, &wishes, &show).await;
    tell(&story, context)
}

pub(super) async fn break_lock(session: &Session, context: &Context) -> Result<()> {
    let table = session.table();
    let Some(holder) = table.holder().await? else { return Ok(()) };
    let name = &session.environment.name;
    let question = format!("Take the lock of {name} away from {}, {}?", holder.who, holder.since);
    if !context.terminal.confirm(&question)? {
        return Err(Failure::failed("nothing was changed"));
    }
    table.break_lock(&holder).await
}

/// The plan with a colour for each sort of line.
pub(super) fn shown(paint: Paint, plan: &Plan) -> String {
    if plan.is_empty() {
        return format!("{}: nothing to do", plan.environment);
    }
    coloured(paint, &plan.text())
}

/// A plan's text with a colour for each sort of line.
pub(super) fn coloured(paint: Paint, text: &str) -> String {
    let coloured = |line: &str| match line.trim_start().chars().next() {
        Some('+') => paint.good(line),
        Some('-') => paint.bad(line),
        Some('~') => paint.warning(line),
        _ if !line.starts_with(' ') && line.ends_with(')') => paint.strong(line),
        _ => line.to_owned(),
    };
    text.lines().map(coloured).collect::<Vec<_>>().join("\n")
}

/// Builds and pushes what is not given.
pub(super) struct Building<'a> {
    pub(super) environment: &'a EnvironmentSettings,
    pub(super) context: &'a Context,
}

impl Images for Building<'_> {
    fn ship<'a>(
        &'a self,
        names: &'a BTreeSet<String>,
        push: bool,
    ) -> LocalBoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(super::super::image::ship(self.environment, names, push, self.context))
    }
}

/// What `streamify verify` looks at.
struct Verifying<'a> {
    session: &'a Session,
    given: BTreeMap<String, String>,
    report: &'a dyn Report,
}

impl Checks for Verifying<'_> {
    fn verify(&self) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(async {
            let subject = Subject {
                environment: &self.session.environment,
                aws: self.session.cloud.aws(),
                outputs: Ok(self.session.outputs.clone()),
                images: self.given.clone(),
                report: self.report,
            };
            let needed = self.session.environment.services.values().map(|service| &service.image);
            let is_each_given = needed.collect::<BTreeSet<_>>().into_iter().all(|name| self.given.contains_key(name));
            // Images that are yet to be built are not those that run.
            let counts = |check: &&Check| check.verdict == Verdict::Failed && (is_each_given || check.name != "images");
            let checks = verify(&subject).await;
            let mut words = Vec::new();
            for check in checks.iter().filter(counts) {
                failed(check, "", &mut words);
            }
            if words.is_empty() {
                return Ok(());
            }
            let name = &self.session.environment.name;
            let failure = Failure::failed(format!("{name} is not ready for a deploy"));
            Err(Failure { causes: words, ..failure }
                .hint(format!("streamify verify {name} shows all of it; --skip-verify goes on without.")))
        })
    }
}

/// The innermost checks that failed, each with the way to it.
fn failed(check: &Check, above: &str, words: &mut Vec<String>) {
    let name = if above.is_empty() { check.name.clone() } else { format!("{above}, {}", check.name) };
    if check.checks.is_empty() {
        words.push(format!("{name}: {}", check.reasons.join("; ")));
    }
    for inner in check.checks.iter().filter(|inner| inner.verdict == Verdict::Failed) {
        failed(inner, &name, words);
    }
}

/// The deploy's own look at credentials and services is all that is checked.
pub(super) struct NoChecks;

impl Checks for NoChecks {
    fn verify(&self) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

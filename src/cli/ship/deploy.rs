use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;

use super::super::{Context, Outcome};
use super::docker_host::{self, Wish};
use super::{Place, Session, Watching, tell};
use crate::deploy::{self, Checks, Images, Plan, Wishes};
use crate::failure::{Failure, Result};
use crate::settings::{RollbackOn, Target};
use crate::terminal::Paint;

/// Roll out to an environment, watched until the new revision is live
///
/// In stages: verify, lock, images, plan, migrations, register, update, watch, record. Nothing changes before the
/// migration has ended well; nothing is called a success but ECS's own word on our revision. A deploy that was cut
/// short is finished by the next one.
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
    place: Place,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    watching: Watching,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take the lock away from whoever holds it
    #[arg(long)]
    break_lock: bool,
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
    rollback_on: Option<Vec<RollbackOn>>,
    /// Without the migration
    #[arg(long)]
    skip_migration: bool,
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

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let environment = settings.ship.environment(&arguments.place.environment, &settings.name)?;
    if environment.target == Target::Docker {
        arguments.refuse_what_only_ecs_has()?;
        let wish = Wish {
            images: &arguments.choice.images,
            build: arguments.build,
            dry_run: arguments.dry_run,
            timeout: arguments.watching.limit(),
        };
        return docker_host::deploy(&environment, &wish, context).await;
    }
    if arguments.build {
        return Err(Failure::usage("--build is for environments on a Docker host")
            .hint("Images for ECS are built and pushed by the deploy itself, or by `streamify image`."));
    }
    let session = Session::enter(&arguments.place, context).await?;
    let ground = session.ground(&arguments.watching, context);
    let wishes = arguments.choice.wishes(&session, context)?;
    if arguments.dry_run {
        let plan = deploy::plan(&ground, &NoImages, &NoChecks, &wishes).await?;
        context.terminal.result(|paint| shown(paint, &plan), &plan)?;
        return Ok(Outcome::Done);
    }
    if arguments.break_lock {
        break_lock(&session, context).await?;
    }
    let report = context.terminal.report();
    let paint = context.terminal.error_paint();
    let show = |plan: &Plan| {
        if !plan.is_empty() {
            report.note(shown(paint, plan).trim_end());
        }
    };
    let story = deploy::deploy(&ground, &NoImages, &NoChecks, &wishes, &show).await;
    tell(story, context)
}

async fn break_lock(session: &Session, context: &Context) -> Result<()> {
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
    let coloured = |line: &str| match line.trim_start().chars().next() {
        Some('+') => paint.good(line),
        Some('-') => paint.bad(line),
        Some('~') => paint.warning(line),
        _ if !line.starts_with(' ') && line.ends_with(')') => paint.strong(line),
        _ => line.to_owned(),
    };
    plan.text().lines().map(coloured).collect::<Vec<_>>().join("\n")
}

/// Images are given by their digests.
pub(super) struct NoImages;

impl Images for NoImages {
    fn ship<'a>(&'a self, names: &'a BTreeSet<String>, _push: bool) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(async move {
            match names.first() {
                None => Ok(BTreeMap::new()),
                Some(name) => Err(Failure::usage(format!("which image is `{name}`?"))
                    .hint(format!("Give one that is pushed, by its digest: --image {name}=REPOSITORY@sha256:…"))
                    .hint("Or --keep-images, to change everything but the images.")),
            }
        })
    }
}

/// The deploy's own look at credentials, cluster and services is all that is checked.
pub(super) struct NoChecks;

impl Checks for NoChecks {
    fn verify(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

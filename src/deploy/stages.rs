//! A deploy in its stages: verify, lock, images, plan, migrations, register, update, watch, record.
//!
//! Every stage can be cut short: the next run finds what is done and goes on from there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::try_join_all;

use super::plan::{Live, MigrationPlan, Origin, Plan, ServicePlan, Wanted, revision_name};
use super::record::{Deployed, Purpose, Record};
use super::run::{Ground, Move, Run};
use super::story::Story;
use super::tasks::{Broken, OneOff, tag};
use super::{Checks, Images, observe, references, render};
use crate::failure::{Failure, Kind, Result};
use crate::report::Event;
use crate::settings::{Image, RollbackOn};

/// What a person or a pipeline wants of a deploy.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Images that are pushed already, by name: references by digest.
    pub given: BTreeMap<String, String>,
    /// Images that are not given stay as they run now.
    pub keep_images: bool,
    /// What `streamify.yaml` says of the images.
    pub images: BTreeMap<String, Image>,
    pub rollback_on: Vec<RollbackOn>,
    /// Without the migration.
    pub skip_migration: bool,
}

/// The user of images that say nothing else: never root.
const USER: &str = "65532:65532";

/// What a deploy would do. Changes nothing.
pub async fn plan(ground: &Ground<'_>, images: &dyn Images, checks: &dyn Checks, wishes: &Wishes) -> Result<Plan> {
    let run = Run::new(ground);
    ground.cloud.aws.identity().await?;
    checks.verify().await?;
    let references = ship(&run, images, wishes, false).await?;
    Ok(compare(&run, &references, wishes).await?.0)
}

/// Deploys. `show` is told the plan before anything is changed.
pub async fn deploy(
    ground: &Ground<'_>,
    images: &dyn Images,
    checks: &dyn Checks,
    wishes: &Wishes,
    show: &(dyn Fn(&Plan) + Sync),
) -> Story {
    let mut run = Run::new(ground);
    let result = go(&mut run, images, checks, wishes, show).await;
    run.end(result).await
}

async fn go(
    run: &mut Run<'_>,
    images: &dyn Images,
    checks: &dyn Checks,
    wishes: &Wishes,
    show: &(dyn Fn(&Plan) + Sync),
) -> Result<()> {
    let ground = run.ground;
    run.stage("verify", "credentials, cluster, services, roles").await?;
    ground.cloud.aws.identity().await?;
    checks.verify().await?;
    let names = ground.environment.services.keys().map(String::as_str);
    observe::services(&ground.cloud, ground.outputs, names).await?;
    run.done("fine");
    run.lock().await?;

    run.stage("images", "by digest").await?;
    let references = ship(run, images, wishes, true).await?;
    run.done(&match references.len() {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    });

    run.stage("plan", "comparing with what is live").await?;
    let (plan, live) = compare(run, &references, wishes).await?;
    let active = plan.active().count();
    run.done(&if active == 0 {
        "nothing to do".to_owned()
    } else {
        format!("{active} of {} services", plan.services.len())
    });
    show(&plan);
    run.plan = Some(plan.clone());
    if plan.is_empty() {
        return Ok(());
    }
    let settings = &ground.environment.services;
    let idle = plan.services.iter().filter(|(_, one)| one.is_idle()).map(|(name, one)| {
        let arn = live[name].revision.arn.clone();
        let replicas = settings.get(name).map_or(0, |settings| settings.replicas);
        (name.clone(), Deployed { name: one.name.clone(), task_definition: arn.clone(), before: arn, replicas })
    });
    run.begin(Record { images: references, services: idle.collect(), purpose: Purpose::Deploy, ..Record::default() })
        .await?;

    let mut arns = registered(&plan);
    if let Some(migration) = plan.migration.as_ref().filter(|_| !wishes.skip_migration) {
        migrate(run, &plan, migration, &mut arns).await?;
    }
    let new: Vec<&String> = plan.active().map(|(name, _)| name).filter(|name| !arns.contains_key(*name)).collect();
    if !new.is_empty() {
        let plural = if new.len() == 1 { "" } else { "s" };
        run.stage("register", &format!("{} revision{plural}", new.len())).await?;
        let made = try_join_all(
            new.iter()
                .map(async |name| Ok::<_, Failure>(((*name).clone(), register(run, &plan.services[*name]).await?))),
        );
        arns.extend(made.await?);
        let names: Vec<&str> = new.iter().map(|name| revision_name(&arns[*name])).collect();
        run.done(&names.join(", "));
    }
    let levels = plan.levels.iter().map(|level| {
        let active =
            level.iter().filter_map(|name| Some((name, plan.services.get(name).filter(|one| !one.is_idle())?)));
        let replicas = |name: &String| settings.get(name).map_or(0, |settings| settings.replicas);
        active.map(|(name, one)| to_move(name, one, &arns, &live[name], replicas(name))).collect()
    });
    let levels = levels.collect();
    run.roll(levels, wishes.rollback_on.contains(&RollbackOn::Timeout)).await?;
    run.stage("record", "writing the history").await?;
    let number = run.record.as_ref().map_or(0, |record| record.number);
    run.done(&format!("deploy {number}"));
    Ok(())
}

/// Images by digest: those that are given, those that stay, and the rest from whoever makes them.
async fn ship(run: &Run<'_>, images: &dyn Images, wishes: &Wishes, push: bool) -> Result<BTreeMap<String, String>> {
    let wanted: BTreeSet<String> = run.ground.environment.services.values().map(|one| one.image.clone()).collect();
    let mut references = wishes.given.clone();
    references.retain(|name, _| wanted.contains(name));
    let missing: BTreeSet<String> = wanted.into_iter().filter(|name| !references.contains_key(name)).collect();
    if missing.is_empty() || wishes.keep_images {
        return Ok(references);
    }
    references.extend(images.ship(&missing, push).await?);
    Ok(references)
}

/// What is wanted beside what is.
async fn compare(
    run: &Run<'_>,
    references: &BTreeMap<String, String>,
    wishes: &Wishes,
) -> Result<(Plan, BTreeMap<String, Live>)> {
    let ground = run.ground;
    let (cloud, environment, outputs) = (&*ground.cloud, ground.environment, ground.outputs);
    let names = environment.services.keys().map(String::as_str);
    let (services, secrets) = futures_util::try_join!(
        observe::services(cloud, outputs, names),
        references::find(cloud, environment, outputs)
    )?;
    let mut live = observe::live(cloud, &services).await?;
    let history = run.history(&live).await?;
    let mut wanted = BTreeMap::new();
    for (name, settings) in &environment.services {
        let (of_service, now) = (run.outputs(name)?, &live[name]);
        let container = of_service.container.as_str();
        let told = outputs.environment_of(of_service);
        let running = now.revision.leaves.get(&format!("containerDefinitions.{container}.image"));
        let image = match (references.get(&settings.image), running.and_then(|image| image.as_str())) {
            (Some(reference), _) => reference,
            (None, Some(running)) => running,
            (None, None) => return Err(no_image(&settings.image)),
        };
        let about = wishes.images.get(&settings.image);
        let says_itself = about.is_some_and(|image| image.dockerfile.is_some());
        let user = about.and_then(|image| image.user.as_deref()).or((!says_itself).then_some(USER));
        let material = render::Material {
            service: name,
            outputs: of_service,
            image,
            region: cloud.aws.region(),
            user,
            secrets: &secrets[name],
            told: &told,
            is_exec_enabled: now.is_exec_enabled,
        };
        let recorded = history.iter().find_map(|record| record.services.get(name)).map(|one| one.replicas);
        let replicas = (recorded != Some(settings.replicas)).then(|| settings.replicas.try_into().unwrap_or(i32::MAX));
        wanted.insert(
            name.clone(),
            Wanted {
                container: container.to_owned(),
                definition: render::definition(settings, material)?,
                configuration: render::configuration(
                    now.configuration.as_ref(),
                    &environment.deploy,
                    &wishes.rollback_on,
                    &of_service.alarms,
                )?,
                replicas,
                depends_on: settings.depends_on.clone(),
            },
        );
    }
    // A deploy that was cut short may have registered what is wanted.
    let mut differing = Vec::new();
    for (name, wanted) in &wanted {
        if live[name].revision.leaves != wanted.leaves()? {
            differing.push(name.clone());
        }
    }
    let newest = differing.iter().map(async |name| {
        let family = &run.outputs(name)?.name;
        Ok::<_, Failure>((name.clone(), observe::newest(cloud, &live[name], family).await?))
    });
    for (name, newest) in try_join_all(newest).await? {
        if let Some(live) = live.get_mut(&name) {
            live.newest = newest;
        }
    }
    let migration = environment.deploy.migration.as_ref().filter(|_| !wishes.skip_migration).map(|one| MigrationPlan {
        service: one.service.clone(),
        command: one.command.clone().unwrap_or_else(|| vec!["migrate".to_owned(), "run".to_owned()]),
        timeout: one.timeout_minutes.unwrap_or(15),
    });
    Ok((Plan::of(&environment.name, &wanted, &live, migration)?, live))
}

/// The failure of a service whose image nobody can name.
pub(super) fn no_image(name: &str) -> Failure {
    Failure::usage(format!("which image is `{name}`?"))
        .hint(format!("Give one that is pushed, by its digest: --image {name}=REGISTRY/REPOSITORY@sha256:…"))
        .hint("Or --keep-images, to change everything but the images.")
}

/// The revisions that are there already.
fn registered(plan: &Plan) -> BTreeMap<String, String> {
    let known = plan.services.iter().filter_map(|(name, one)| match &one.origin {
        Origin::Live(arn) | Origin::Registered(arn) => Some((name.clone(), arn.clone())),
        Origin::New => None,
    });
    known.collect()
}

async fn register(run: &Run<'_>, service: &ServicePlan) -> Result<String> {
    let cloud = &run.ground.cloud;
    let answer = service.wanted.definition.clone().send_with(&cloud.ecs).await;
    let answer =
        answer.map_err(|error| cloud.failure(&format!("can't register a revision of {}", service.name), &error))?;
    answer.task_definition.and_then(|definition| definition.task_definition_arn).ok_or_else(|| {
        Failure::failed(format!("can't register a revision of {}", service.name)).cause("ECS answered without its ARN")
    })
}

/// Brings the database up to date with a one-off task of the new image; nothing else changes before it has ended well.
async fn migrate(
    run: &mut Run<'_>,
    plan: &Plan,
    migration: &MigrationPlan,
    arns: &mut BTreeMap<String, String>,
) -> Result<()> {
    run.stage("migrations", &format!("`{}` with the new image of {}", migration.command.join(" "), migration.service))
        .await?;
    let ground = run.ground;
    let arn = match arns.get(&migration.service) {
        Some(arn) => arn.clone(),
        None => register(run, &plan.services[&migration.service]).await?,
    };
    arns.insert(migration.service.clone(), arn.clone());
    let started_by = tag(&format!("streamify-migration/{}", revision_name(&arn)));
    let nothing = BTreeMap::new();
    let task = OneOff {
        outputs: ground.outputs,
        service: &migration.service,
        of: run.outputs(&migration.service)?,
        task_definition: &arn,
        command: &migration.command,
        environment: &nothing,
        started_by: &started_by,
    };
    // Whoever was killed while it ran has left it running.
    let running = match task.running(&ground.cloud).await? {
        Some(running) => running,
        None => task.start(&ground.cloud).await?,
    };
    let timeout = Duration::from_secs(migration.timeout * 60);
    let (report, name) = (ground.report, "migrations");
    let mut line = |text: &str| report.event(Event::Line { source: name.to_owned(), text: text.to_owned() });
    let ended = task.follow(&ground.cloud, &running, timeout, ground.interrupt, report, name, &mut line).await;
    let failed = |kind, text: String| {
        Failure::new(kind, text).cause("no service was changed").hint("Mend it and deploy again: it starts from there.")
    };
    match ended {
        Ok(ended) if ended.exit_code == Some(0) => {
            run.done("done");
            Ok(())
        }
        Ok(ended) => {
            let mut failure = failed(Kind::Failed, format!("the migration failed: {}", ended.reason));
            if !ended.tail.is_empty() {
                failure = failure.cause(format!("its last lines:\n  {}", ended.tail.join("\n  ")));
            }
            Err(failure)
        }
        Err(Broken::Stopped(_)) if ground.interrupt.is_cancelled() => {
            Err(failed(Kind::Interrupted(2), "interrupted: the migration was stopped".to_owned()))
        }
        Err(Broken::Stopped(why)) => Err(failed(Kind::Failed, format!("the migration was stopped: {why}"))
            .hint("deploy.migration.timeout_minutes says how long it may take.")),
        Err(Broken::Failed(failure)) => Err(failure),
    }
}

fn to_move(name: &str, service: &ServicePlan, arns: &BTreeMap<String, String>, live: &Live, asked: u32) -> Move {
    let is_configuration = service.settings.iter().any(|one| one.field != "desiredCount");
    let replicas = service.wanted.replicas.filter(|replicas| *replicas != live.desired);
    Move {
        service: name.to_owned(),
        name: service.name.clone(),
        task_definition: arns.get(name).cloned().unwrap_or_default(),
        before: live.revision.arn.clone(),
        configuration: is_configuration.then(|| service.wanted.configuration.clone()),
        replicas,
        asked,
        is_forced: false,
        is_adopted: service.is_adopted,
    }
}

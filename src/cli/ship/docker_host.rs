//! Environments on a Docker host: `deploy`, `rollback` and `history` where the target is `docker`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use super::super::dev::{Place, docker_place};
use super::super::{Context, Outcome};
use super::commit;
use crate::failure::{Failure, Kind, Result};
use crate::settings::EnvironmentSettings;
use crate::stack::compose::model::Project;
use crate::stack::docker::{
    Deployed, Prospect, Release, Releases, Replaced, Stack, Verdict, Wishes, before, bring_back, keep,
};
use crate::terminal::Table;

/// Good releases whose images are kept, where the environment does not say.
const KEPT: usize = 10;

/// What is wanted of a deploy.
#[derive(Debug, Default)]
pub(super) struct Wish<'a> {
    /// Images by service, before what the Compose file says; services that share one get it too.
    pub(super) images: &'a [(String, String)],
    pub(super) build: bool,
    pub(super) dry_run: bool,
    /// Until everything is healthy.
    pub(super) timeout: Option<Duration>,
}

/// Rolls the Compose project out on its Docker host.
pub(super) async fn deploy(environment: &EnvironmentSettings, wish: &Wish<'_>, context: &Context) -> Result<Outcome> {
    let place = docker_place(context).await?;
    let project = with_images(place.project()?, wish.images)?;
    let releases = (!wish.dry_run).then(|| lock(context)).transpose()?;
    let settings = context.settings()?;
    let stack = Stack::new(&place.engine, &project, &settings.environment);
    let wishes = Wishes { build: wish.build, ..Wishes::default() };
    let prospect = stack.prospect(&wishes).await?;
    let Some(releases) = releases else {
        show(&prospect, &project, context)?;
        return Ok(Outcome::Done);
    };
    roll_out(environment, &place, &stack, prospect, wish.timeout, &releases, None, context).await
}

/// Goes back to the last release that was good and another one.
pub(super) async fn rollback(
    environment: &EnvironmentSettings,
    timeout: Option<Duration>,
    context: &Context,
) -> Result<Outcome> {
    let place = docker_place(context).await?;
    let all = Releases::read(&context.settings()?.dev.data)?;
    let target = before(&all).ok_or_else(|| {
        Failure::failed("there is no release to go back to").cause(match all.len() {
            0 => "nothing was deployed from here yet".to_owned(),
            _ => "no other images than those of the last good deploy were ever good".to_owned(),
        })
    })?;
    let mut project = place.project()?.clone();
    for (name, image) in &target.images {
        if let Some(service) = project.services.get_mut(name) {
            service.image.clone_from(&image.reference);
            service.build = None;
        }
    }
    let settings = context.settings()?;
    let report = context.terminal.report();
    report.note(&format!("going back to what was deployed at {} by {}", target.at, target.by));
    let releases = lock(context)?;
    for image in target.images.values() {
        bring_back(&place.engine, image).await?;
    }
    let stack = Stack::new(&place.engine, &project, &settings.environment);
    let prospect = stack.prospect(&Wishes::default()).await?;
    roll_out(environment, &place, &stack, prospect, timeout, &releases, Some(target.at), context).await
}

/// Lists the releases, the newest first.
pub(super) fn history(limit: u64, context: &Context) -> Result<Outcome> {
    let mut all = Releases::read(&context.settings()?.dev.data)?;
    all.reverse();
    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    context.terminal.result(
        |paint| {
            if all.is_empty() {
                return "nothing was deployed from here yet".into();
            }
            let mut table = Table::new(["when", "who", "commit", "result", "took", "images"]);
            for release in &all {
                let result = match release.verdict {
                    Verdict::Succeeded => paint.good("succeeded"),
                    Verdict::RolledBack => paint.warning("rolled back"),
                    Verdict::Failed => paint.bad("failed"),
                };
                let mut images: Vec<&str> = release.images.values().map(|image| short_id(&image.id)).collect();
                images.sort_unstable();
                images.dedup();
                table.row([
                    release.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
                    release.by.clone(),
                    release
                        .commit
                        .as_deref()
                        .map_or_else(|| "–".to_owned(), |commit| commit.chars().take(10).collect()),
                    result,
                    format!("{:.1} s", Duration::from_millis(release.took_ms).as_secs_f64()),
                    images.join(" "),
                ]);
            }
            table.text()
        },
        &all,
    )?;
    Ok(Outcome::Done)
}

#[allow(clippy::too_many_arguments, reason = "one private function behind deploy and rollback")]
async fn roll_out(
    environment: &EnvironmentSettings,
    place: &Place,
    stack: &Stack<'_>,
    prospect: Prospect,
    timeout: Option<Duration>,
    releases: &Releases,
    back_to: Option<Timestamp>,
    context: &Context,
) -> Result<Outcome> {
    let settings = context.settings()?;
    let report = context.terminal.report();
    if prospect.is_empty() {
        report.note("nothing to do: what runs is what would be deployed");
        return print(&[], context);
    }
    let minutes = environment.deploy.timeout_minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let limit = timeout.or(minutes).unwrap_or(settings.dev.wait_timeout);
    let begun = Instant::now();
    let at = Timestamp::now();
    let commit = commit(&settings.directory);
    let result = stack.roll_out(prospect, &Wishes::default(), limit, &*report, &context.interrupt).await;
    let verdict = match &result {
        Ok(_) => Verdict::Succeeded,
        Err(failure) if failure.kind == Kind::RolledBack => Verdict::RolledBack,
        Err(_) => Verdict::Failed,
    };
    // Where the daemon has gone away, the reason why is worth more than the images.
    let images: BTreeMap<String, Deployed> = stack.images().await.unwrap_or_default();
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    releases.add(&Release { at, by: who(context), commit, images, verdict, took_ms, back_to })?;
    let replaced = result?;
    let all = Releases::read(&settings.dev.data)?;
    keep(&place.engine, &place.name, &all, environment.deploy.keep.unwrap_or(KEPT)).await?;
    print(&replaced, context)
}

fn print(replaced: &[Replaced], context: &Context) -> Result<Outcome> {
    context.terminal.result(
        |paint| {
            let mut table = Table::new(["service", "container", "image", "took", "away"]);
            for one in replaced {
                let seconds = |milliseconds: u64| format!("{:.1} s", Duration::from_millis(milliseconds).as_secs_f64());
                let away = if one.away_ms == 0 { "not at all".to_owned() } else { seconds(one.away_ms) };
                table.row([
                    paint.strong(&one.what.service),
                    one.what.container.clone(),
                    short_id(&one.image).to_owned(),
                    seconds(one.took_ms),
                    away,
                ]);
            }
            if replaced.is_empty() { String::new() } else { table.text() }
        },
        &json!({"replaced": replaced}),
    )?;
    Ok(Outcome::Done)
}

fn show(prospect: &Prospect, project: &Project, context: &Context) -> Result<()> {
    let replacements = prospect.replacements(project);
    let others: Vec<_> = prospect
        .images
        .iter()
        .chain(prospect.steps())
        .filter(|step| !replacements.iter().any(|one| step.resource == format!("container {}", one.container)))
        .collect();
    context.terminal.result(
        |paint| {
            if prospect.is_empty() {
                return "nothing to do: what runs is what would be deployed".into();
            }
            let mut table = Table::new(["action", "resource", "reason", "how"]);
            for step in &others {
                table.row([
                    paint.strong(step.action.word()),
                    step.resource.clone(),
                    step.reason.clone(),
                    String::new(),
                ]);
            }
            for one in &replacements {
                let resource = format!("container {}", one.container);
                table.row([paint.strong("replace"), resource, one.reason.clone(), one.order.words().to_owned()]);
            }
            table.text()
        },
        &json!({"before": others, "replaced": replacements}),
    )
}

/// Gives services other images; those that run the same one as a named service get it too.
fn with_images(project: &Project, images: &[(String, String)]) -> Result<Project> {
    let mut changed = project.clone();
    for (name, reference) in images {
        let service = project.service(name).ok_or_else(|| {
            let known = project.services.keys().cloned().collect::<Vec<_>>().join(", ");
            Failure::usage(format!("there is no service `{name}` to give an image"))
                .hint(format!("There are: {known}."))
        })?;
        let same = project.image(service);
        for (other, service) in &project.services {
            if project.image(service) == same
                && let Some(service) = changed.services.get_mut(other)
            {
                service.image.clone_from(reference);
                service.build = None;
            }
        }
    }
    Ok(changed)
}

fn lock(context: &Context) -> Result<Releases> {
    Releases::lock(&context.settings()?.dev.data, &who(context))
}

/// `user@host`.
fn who(context: &Context) -> String {
    let user = context.environment.get("USER").or_else(|| context.environment.get("LOGNAME")).unwrap_or("somebody");
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{user}@{}", host.as_deref().unwrap_or("this machine"))
}

fn short_id(id: &str) -> &str {
    let hexadecimal = id.strip_prefix("sha256:").unwrap_or(id);
    &hexadecimal[..hexadecimal.len().min(12)]
}

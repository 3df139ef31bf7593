//! What the commands do with environments whose target is AWS Lambda.

use super::super::{Context, Outcome};
use super::deploy::{Arguments, break_lock, coloured};
use super::{Place, Session, Watching, tell};
use crate::deploy::Ending;
use crate::deploy::lambda::{self, Archive, Package, PageFile, Plan, Status, Wishes};
use crate::failure::{Failure, OrFail, Result};
use crate::settings::{APP_IMAGE, RollbackOn};
use crate::terminal::{Paint, Table};

pub(super) async fn deploy(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let session = Session::on_aws(&arguments.place, context).await?;
    let ground = session.ground(&arguments.watching, context);
    let of_environment = session.environment.deploy.rollback_on.clone();
    let usual = || vec![RollbackOn::Failure, RollbackOn::Alarm];
    let wishes = Wishes {
        rollback_on: arguments.choice.rollback_on.clone().or(of_environment).unwrap_or_else(usual),
        skip_migration: arguments.choice.skip_migration,
    };
    let packaging = Packing::of(context)?;
    let packaging = || packaging.package();
    if arguments.dry_run {
        let plan = lambda::plan(&ground, &packaging, &wishes).await?;
        context.terminal.result(|paint| shown(paint, &plan), &plan)?;
        return Ok(Outcome::Done);
    }
    if arguments.break_lock {
        break_lock(&session, context).await?;
    }
    let (paint, report) = (context.terminal.error_paint(), context.terminal.report());
    let show = |plan: &Plan| {
        if !plan.is_empty() {
            report.note(shown(paint, plan).trim_end());
        }
    };
    tell(&lambda::deploy(&ground, &packaging, &wishes, &show).await, context)
}

pub(super) async fn diff(place: &Place, exit_code: bool, context: &Context) -> Result<Outcome> {
    let session = Session::on_aws(place, context).await?;
    let ground = session.ground(&Watching::NONE, context);
    let packaging = Packing::of(context)?;
    let plan = lambda::plan(&ground, &|| packaging.package(), &Wishes::default()).await?;
    context.terminal.result(|paint| shown(paint, &plan), &plan)?;
    Ok(if exit_code && !plan.is_empty() { Outcome::Difference } else { Outcome::Done })
}

pub(super) async fn status(place: &Place, context: &Context) -> Result<Outcome> {
    let session = Session::on_aws(place, context).await?;
    let ground = session.ground(&Watching::NONE, context);
    let status = Box::pin(lambda::status(&ground)).await?;
    context.terminal.result(|paint| text(paint, &status), &status)?;
    Ok(Outcome::Done)
}

/// What is packed: the program of the image `app`, or this one; and this one's page.
struct Packing {
    program: std::path::PathBuf,
    time: Option<i64>,
}

impl Packing {
    fn of(context: &Context) -> Result<Self> {
        let settings = context.settings()?;
        let binary = settings.ship.images.get(APP_IMAGE).and_then(|image| image.binary.as_ref());
        let program = match binary {
            Some(binary) => settings.directory.join(binary),
            None => std::env::current_exe().or_fail(|| "can't find this program itself".to_owned())?,
        };
        let time = match context.environment.get("SOURCE_DATE_EPOCH") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Failure::usage(format!("the variable SOURCE_DATE_EPOCH is not valid: {text}"))
                    .hint("It is a number of seconds since 1970, such as `git log -1 --format=%ct` prints.")
            })?),
        };
        Ok(Self { program, time })
    }

    fn package(&self) -> Result<Package> {
        let page = streamify_backend::page_files().into_iter().map(|file| PageFile {
            name: file.name,
            data: file.data.into_owned(),
            content_type: file.content_type.to_owned(),
            cache_control: file.cache_control.to_owned(),
        });
        Ok(Package { archive: Archive::of(&self.program, self.time)?, page: page.collect() })
    }
}

fn shown(paint: Paint, plan: &Plan) -> String {
    if plan.is_empty() {
        return format!("{}: nothing to do", plan.environment);
    }
    coloured(paint, &plan.text())
}

fn text(paint: Paint, status: &Status) -> String {
    let mut table = Table::new(["function", "name", "version", "program", "traffic", "published"]);
    for (role, one) in &status.functions {
        let others: f64 = one.weights.values().sum();
        let shares = one.weights.iter().map(|(version, weight)| format!(", {:.0} % version {version}", weight * 100.0));
        let shares: String = shares.collect();
        let traffic = format!("{:.0} %{shares}", (1.0 - others) * 100.0);
        table.row([
            paint.strong(role),
            one.name.clone(),
            one.version.clone(),
            one.program.chars().take(12).collect(),
            if one.weights.is_empty() { paint.good(traffic) } else { paint.warning(traffic) },
            one.last_modified.clone(),
        ]);
    }
    let mut parts = vec![table.text()];
    if let Some(holder) = &status.locked_by {
        parts.push(format!("{} by {holder}", paint.warning("being deployed")));
    }
    if let Some(last) = &status.last {
        let words = last.ending.words();
        let words = if last.ending == Ending::Succeeded { paint.good(words) } else { paint.warning(words) };
        let at = last.started_at.strftime("%Y-%m-%d %H:%M UTC");
        parts.push(format!("last deploy: {} by {}, {at}: {words}", last.number, last.who));
    }
    for (name, state) in &status.alarms {
        let state = if state == "ok" { paint.good(state) } else { paint.bad(state) };
        parts.push(format!("alarm {name}: {state}"));
    }
    parts.join("\n")
}

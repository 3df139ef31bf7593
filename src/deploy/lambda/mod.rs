//! Deploys of functions: package, verify, lock, plan, upload, migrate, check, shift, page, record.
//!
//! Lock, history and stages are those of every deploy; `docs/decisions/0018-lambda.md` says what is different.

mod api;
mod archive;
mod page;
mod plan;
mod rollback;
mod shift;
mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::plan::{Live, Revision, revision_name};
use super::record::{Deployed, Purpose, Record};
use super::run::{Ground, Run};
use super::story::Story;
use crate::failure::{Failure, Result};
use crate::outputs::LambdaOutputs;
use crate::settings::RollbackOn;

pub use archive::Archive;
pub use page::{PageFile, PagePlan};
pub use plan::{FunctionPlan, Plan};
pub use rollback::rollback;
pub use shift::Course;
pub use status::{FunctionStatus, Status, status};

use api::{Alias, Api, Configuration};
use plan::Observed;
use shift::{Moving, Shift};

/// How long a migration may take where the environment says nothing: what Lambda itself allows.
const MIGRATION_MINUTES: u64 = 15;
/// How long a new version may take to start and to say that it is ready.
const CHECK: Duration = Duration::from_secs(60);

/// What is deployed.
#[derive(Clone, Debug)]
pub struct Package {
    pub archive: Archive,
    /// The files of the page; empty where there is none.
    pub page: Vec<PageFile>,
}

/// Whoever makes the package: reads and compresses the program.
pub type Packaging<'a> = dyn Fn() -> Result<Package> + Sync + 'a;

/// What a person or a pipeline wants of a deploy.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    pub rollback_on: Vec<RollbackOn>,
    /// Without the migration.
    pub skip_migration: bool,
}

/// What a deploy would do. Changes nothing.
pub async fn plan(ground: &Ground<'_>, packaging: &Packaging<'_>, wishes: &Wishes) -> Result<Plan> {
    let package = packaging()?;
    ground.cloud.aws.identity().await?;
    let observed = observe(ground).await?;
    fits(&package, &observed)?;
    Ok(compare(ground, &package, &observed, wishes).await?.0)
}

/// Deploys. `show` is told the plan before anything is changed.
pub async fn deploy(
    ground: &Ground<'_>,
    packaging: &Packaging<'_>,
    wishes: &Wishes,
    show: &(dyn Fn(&Plan) + Sync),
) -> Story {
    let mut run = Run::new(ground);
    let result = go(&mut run, packaging, wishes, show).await;
    run.end(result).await
}

/// What Terraform made of functions.
fn outputs<'a>(ground: &Ground<'a>) -> Result<&'a LambdaOutputs> {
    ground.outputs.lambda.as_ref().ok_or_else(|| {
        Failure::usage(format!("{}: there are no functions in it", ground.outputs.source))
            .cause(format!("the environment `{}` has the target lambda", ground.environment.name))
            .hint("The output needs the key `lambda`; docs/decisions/0018-lambda.md lists what is in it.")
    })
}

async fn go(
    run: &mut Run<'_>,
    packaging: &Packaging<'_>,
    wishes: &Wishes,
    show: &(dyn Fn(&Plan) + Sync),
) -> Result<()> {
    let ground = run.ground;
    let outputs = outputs(ground)?;
    run.stage("package", "compressing the program").await?;
    let package = packaging()?;
    let megabytes = package.archive.bytes.len() as f64 / 1_000_000.0;
    run.done(&format!("{megabytes:.1} MB, {}", &package.archive.digest[..12]));

    run.stage("verify", "credentials, functions, aliases").await?;
    ground.cloud.aws.identity().await?;
    fits(&package, &observe(ground).await?)?;
    run.done("fine");
    run.lock().await?;

    run.stage("plan", "comparing with what is live").await?;
    // Looked at again: who held the lock before may have changed it.
    let observed = observe(ground).await?;
    let (plan, files) = compare(ground, &package, &observed, wishes).await?;
    run.history(&live(&observed)).await?;
    let active = plan.active().count();
    run.done(&if plan.is_empty() {
        "nothing to do".to_owned()
    } else {
        format!("{active} of {} functions", observed.len())
    });
    show(&plan);
    run.functions = Some(plan.clone());
    if plan.is_empty() {
        return Ok(());
    }
    run.begin(Record {
        images: images(&package),
        services: idle(&plan, &observed),
        purpose: Purpose::Deploy,
        ..Record::default()
    })
    .await?;

    let mut moving = publish(run, &plan, &observed, &package).await?;
    if plan.migration {
        migrate(run, &moving).await?;
    }
    if !moving.is_empty() {
        check(run, &moving).await?;
        let list: Vec<String> = moving.values().map(|one| format!("{}:{}", one.function, one.to)).collect();
        run.stage("shift", &list.join(", ")).await?;
        let mut all: Vec<Moving> = std::mem::take(&mut moving).into_values().collect();
        let shift = Shift { ground, alias: &outputs.alias, course: &plan.course, rollback_on: &wishes.rollback_on };
        shift.run(&mut all).await?;
        run.done("100 % of the traffic");
    }
    upload_page(run, &plan, &files, outputs).await?;
    run.stage("record", "writing the history").await?;
    let number = run.record.as_ref().map_or(0, |record| record.number);
    run.done(&format!("deploy {number}"));
    Ok(())
}

/// Every function as it is, ready to be changed.
async fn observe(ground: &Ground<'_>) -> Result<BTreeMap<String, Observed>> {
    let outputs = outputs(ground)?;
    let api = Api { aws: ground.cloud.aws() };
    let each = outputs.functions.iter().map(async |(role, name)| {
        let latest = api.ready(name, None).await?;
        let alias = alias(&api, name, &outputs.alias).await?;
        let live = api.configuration(name, Some(&alias.function_version)).await?;
        Ok::<_, Failure>((role.clone(), Observed { name: name.clone(), latest, alias, live }))
    });
    Ok(try_join_all(each).await?.into_iter().collect())
}

async fn alias(api: &Api<'_>, function: &str, name: &str) -> Result<Alias> {
    let hint = "Terraform makes the alias, on a published version (`publish = true`), and ignores its changes.";
    let found = api
        .alias(function, name)
        .await?
        .ok_or_else(|| Failure::failed(format!("the function {function} has no alias {name}")).hint(hint))?;
    if found.function_version == "$LATEST" {
        return Err(Failure::failed(format!("the alias {name} of {function} names $LATEST"))
            .cause("an upload would be live at once, and nothing could be taken back")
            .hint(hint));
    }
    Ok(found)
}

fn fits(package: &Package, observed: &BTreeMap<String, Observed>) -> Result<()> {
    observed.values().try_for_each(|one| {
        let Configuration { runtime, package_type, architectures, .. } = &one.latest;
        package.archive.fits(&one.name, runtime, package_type, architectures)
    })
}

/// What is wanted beside what is; and the page's files, with the one that says where the API is.
async fn compare(
    ground: &Ground<'_>,
    package: &Package,
    observed: &BTreeMap<String, Observed>,
    wishes: &Wishes,
) -> Result<(Plan, Vec<PageFile>)> {
    let outputs = outputs(ground)?;
    let (mut files, mut page) = (Vec::new(), None);
    if let Some(bucket) = outputs.page_bucket.as_ref().filter(|_| !package.page.is_empty()) {
        files.clone_from(&package.page);
        files.push(configuration(outputs));
        let now = page::manifest(ground.cloud.aws(), bucket).await?;
        page = Some(PagePlan::of(bucket, &files, now));
    }
    let environment = ground.environment;
    let course = Course::of(&environment.deploy);
    let plan =
        Plan::of(&environment.name, &outputs.alias, observed, &package.archive, course, page, !wishes.skip_migration);
    Ok((plan, files))
}

/// What the page asks for first: where its API is.
fn configuration(outputs: &LambdaOutputs) -> PageFile {
    let mut settings = json!({ "api_base": outputs.api_url.clone().unwrap_or_default() });
    if let Some(url) = &outputs.websocket_url {
        settings["websocket_url"] = url.clone().into();
    }
    PageFile {
        name: "config.json".to_owned(),
        data: settings.to_string().into_bytes(),
        content_type: "application/json".to_owned(),
        cache_control: "no-cache".to_owned(),
    }
}

/// The ARN of a version.
fn version_arn(function: &Configuration, version: &str) -> String {
    let parts: Vec<&str> = function.function_arn.split(':').take(7).collect();
    format!("{}:{version}", parts.join(":"))
}

/// The functions in the form in which history is compared with what is live.
fn live(observed: &BTreeMap<String, Observed>) -> BTreeMap<String, Live> {
    let each = observed.iter().map(|(role, one)| {
        let arn = version_arn(&one.latest, &one.alias.function_version);
        let revision = Revision { arn, ..Revision::default() };
        let is_rolling_out = !one.alias.weights().is_empty();
        (role.clone(), Live { name: one.name.clone(), revision, is_rolling_out, ..Live::default() })
    });
    each.collect()
}

fn images(package: &Package) -> BTreeMap<String, String> {
    BTreeMap::from([("program".to_owned(), format!("bootstrap.zip@sha256:{}", package.archive.digest))])
}

/// Functions that stay as they are, for the record.
fn idle(plan: &Plan, observed: &BTreeMap<String, Observed>) -> BTreeMap<String, Deployed> {
    let idle = plan.functions.iter().filter(|(_, one)| one.is_idle()).filter_map(|(role, one)| {
        let arn = version_arn(&observed.get(role)?.latest, &one.live);
        let deployed = Deployed { name: one.name.clone(), task_definition: arn.clone(), before: arn, replicas: 0 };
        Some((role.clone(), deployed))
    });
    idle.collect()
}

/// Uploads and publishes; gives the functions whose traffic is to be shifted.
async fn publish(
    run: &mut Run<'_>,
    plan: &Plan,
    observed: &BTreeMap<String, Observed>,
    package: &Package,
) -> Result<BTreeMap<String, Moving>> {
    let ground = run.ground;
    let api = Api { aws: ground.cloud.aws() };
    let active: Vec<(&String, &FunctionPlan)> = plan.active().collect();
    if active.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<&str> = active.iter().map(|(_, one)| one.name.as_str()).collect();
    run.stage("upload", &names.join(", ")).await?;
    let number = run.record.as_ref().map_or(0, |record| record.number);
    let commit = ground.commit.as_deref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let description = format!("streamify deploy {number}{commit}");
    let archive = &package.archive;
    let published = active.iter().map(async |(role, one)| {
        if !one.is_uploaded {
            api.upload(&one.name, &archive.bytes).await?;
        }
        api.ready(&one.name, None).await?;
        let made = api.publish(&one.name, &archive.sha256, &description).await?;
        api.ready(&one.name, Some(&made.version)).await?;
        Ok::<_, Failure>(((*role).clone(), made.version))
    });
    let published: BTreeMap<String, String> = try_join_all(published).await?.into_iter().collect();
    let list: Vec<String> = active.iter().map(|(role, one)| format!("{}:{}", one.name, published[*role])).collect();
    if let Some(record) = &mut run.record {
        for (role, one) in &active {
            let function = &observed[*role].latest;
            let deployed = Deployed {
                name: one.name.clone(),
                task_definition: version_arn(function, &published[*role]),
                before: version_arn(function, &one.live),
                replicas: 0,
            };
            record.services.insert((*role).clone(), deployed);
        }
    }
    if let Some(record) = run.record.clone() {
        run.write(&record).await?;
    }
    run.done(&list.join(", "));
    let moving = active.into_iter().map(|(role, one)| {
        let moving = Moving {
            function: one.name.clone(),
            from: one.live.clone(),
            to: published[role].clone(),
            alias: observed[role].alias.clone(),
        };
        (role.clone(), moving)
    });
    Ok(moving.collect())
}

/// Brings the database up to date by the new version; nothing is shifted before it has ended well.
async fn migrate(run: &mut Run<'_>, moving: &BTreeMap<String, Moving>) -> Result<()> {
    let Some(events) = moving.get("events") else { return Ok(()) };
    run.stage("migrations", &format!("by {}:{}", events.function, events.to)).await?;
    let ground = run.ground;
    let minutes = ground.environment.deploy.migration.as_ref().and_then(|one| one.timeout_minutes);
    let limit = Duration::from_secs(60 * minutes.unwrap_or(MIGRATION_MINUTES));
    let api = Api { aws: ground.cloud.aws() };
    let answer = api.invoke(&events.function, &events.to, &json!({ "streamify": "migrate" }), limit).await?;
    let applied = answer.map_err(|why| {
        Failure::failed("the migration failed")
            .cause(why)
            .cause("no traffic was shifted")
            .hint("Mend it and deploy again: it starts from there.")
    })?;
    run.done(&match applied["applied"].as_array().map_or(0, Vec::len) {
        0 => "nothing to apply".to_owned(),
        1 => "1 applied".to_owned(),
        count => format!("{count} applied"),
    });
    Ok(())
}

/// Invokes the new versions before anybody else does.
async fn check(run: &mut Run<'_>, moving: &BTreeMap<String, Moving>) -> Result<()> {
    run.stage("check", "starting the new versions").await?;
    let api = Api { aws: run.ground.cloud.aws() };
    let each = moving.iter().map(async |(role, one)| {
        let name = format!("{}:{}", one.function, one.to);
        let event = if role == "http" { health() } else { json!({ "streamify": "check" }) };
        let wrong = |why: String| {
            Failure::failed(format!("{name} is not ready"))
                .cause(why)
                .cause("no traffic was shifted")
                .hint(format!("What it said is in the log group of {}.", one.function))
        };
        let answer = api.invoke(&one.function, &one.to, &event, CHECK).await?.map_err(wrong)?;
        if role == "http" && answer["statusCode"] != 200 {
            return Err(wrong(format!("/health/ready answers {}: {}", answer["statusCode"], answer["body"])));
        }
        Ok(())
    });
    try_join_all(each).await?;
    run.done("ready");
    Ok(())
}

/// A request for `/health/ready`, as an HTTP API would pass it on.
fn health() -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/health/ready", "rawQueryString": "",
        "headers": {"host": "localhost"}, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "", "apiId": "", "domainName": "localhost", "domainPrefix": "", "requestId": "streamify-deploy",
            "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0,
            "http": {"method": "GET", "path": "/health/ready", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                     "userAgent": "streamify"},
        },
    })
}

async fn upload_page(run: &mut Run<'_>, plan: &Plan, files: &[PageFile], outputs: &LambdaOutputs) -> Result<()> {
    let Some(page) = plan.page.as_ref().filter(|page| !page.is_empty()) else { return Ok(()) };
    run.stage("page", &format!("{} files to {}", page.upload.len(), page.bucket)).await?;
    let aws = run.ground.cloud.aws();
    page::upload(aws, page, files).await?;
    let mut how = format!("{} files", page.upload.len());
    if let Some(distribution) = &outputs.distribution {
        let number = run.record.as_ref().map_or(0, |record| record.number);
        let started = run.record.as_ref().map(|record| record.started_at.to_string()).unwrap_or_default();
        let reference = format!("streamify {} {number} {started}", run.ground.environment.name);
        if let Some(id) = page::invalidate(aws, distribution, page, files, &reference).await? {
            how = format!("{how}, invalidation {id}");
        }
    }
    run.done(&how);
    Ok(())
}

/// `FUNCTION:VERSION` of a version's ARN.
fn version_name(arn: &str) -> &str {
    revision_name(arn)
}

//! Plans as texts: what is there, what is wanted, what follows. No daemon is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{ImageInspect, Network, Volume};

use super::blueprint::blueprint;
use super::engine::ApiVersion;
use super::labels;
use super::observe::{Container, Observed, Phase, State};
use super::plan::{Plan, Pull, Wishes, plan};
use super::plan_images::plan_images;
use crate::stack::compose::{Project, Request, load};

const FILE: &str = "\
services:
  db: {image: 'db:1', volumes: ['data:/data'], healthcheck: {test: [CMD, ok]}}
  init: {image: 'app:1', depends_on: {db: {condition: service_healthy}}}
  api:
    image: app:1
    environment: {LEVEL: info}
    depends_on: {init: {condition: service_completed_successfully}, db: {condition: service_healthy, restart: true}}
  side: {image: 'app:1', network_mode: 'service:api'}
volumes: {data: {}}
";

fn project(file: &str) -> Project {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), format!("name: shop\n{file}")).unwrap();
    load(&Request { here: folder.path().into(), ..Request::default() }).unwrap()
}

/// The engine after `up` of the project.
fn observed(project: &Project) -> Observed {
    let mut observed = Observed::default();
    for service in project.services.values() {
        let made = blueprint(project, service, 1, ApiVersion::OLDEST).unwrap();
        let reference = project.image(service);
        let state = match service.name.as_str() {
            "init" => State { phase: Phase::Exited, exit_code: Some(0), health: None },
            _ => State { phase: Phase::Running, ..State::default() },
        };
        observed.containers.push(Container {
            id: format!("id-of-{}", service.name),
            name: made.name.clone(),
            service: service.name.clone(),
            number: 1,
            state,
            image_id: format!("sha256:{reference}"),
            networks: made.endpoints.iter().map(|(name, _)| (name.clone(), format!("id-of-{name}"))).collect(),
            fields: Some(made.fields.clone()),
            ..Container::default()
        });
        let id = Some(format!("sha256:{reference}"));
        observed.images.insert(reference, ImageInspect { id, ..ImageInspect::default() });
    }
    let own = || HashMap::from([(labels::PROJECT.to_owned(), "shop".to_owned())]);
    let network = |name: &str| Network { id: Some(format!("id-of-{name}")), labels: Some(own()), ..Network::default() };
    observed.networks = BTreeMap::from([("shop_default".to_owned(), network("shop_default"))]);
    let volume = Volume { name: "shop_data".into(), driver: "local".into(), labels: own(), ..Volume::default() };
    observed.volumes = BTreeMap::from([("shop_data".to_owned(), volume)]);
    observed
}

fn planned(project: &Project, wishes: &Wishes, observed: &Observed) -> Plan {
    plan(project, wishes, observed, ApiVersion::OLDEST).unwrap()
}

fn text(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(super::plan::Step::text);
    steps.chain(plan.warnings.iter().map(|warning| format!("warning: {warning}"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_first_start_says_each_step_its_reason_and_what_it_waits_for() {
    let project = project(FILE);
    insta::assert_snapshot!(text(&planned(&project, &Wishes::default(), &Observed::default())), @r"
    create network shop_default: it is not there
    create volume shop_data: it is not there
    create container shop-db-1: it is not there
    create container shop-init-1: it is not there; after db is healthy
    create container shop-api-1: it is not there; after db is healthy, init is done
    create container shop-side-1: it is not there; after api has started
    ");
}

#[test]
fn nothing_follows_from_what_is_as_it_should_be() {
    let project = project(FILE);
    assert_eq!(text(&planned(&project, &Wishes::default(), &observed(&project))), "");
}

#[test]
fn a_change_goes_along_to_what_lives_with_it_and_to_what_asks_to_be_restarted() {
    let there = observed(&project(FILE));
    let changed = project(&FILE.replace("LEVEL: info", "LEVEL: debug"));
    insta::assert_snapshot!(text(&planned(&changed, &Wishes::default(), &there)), @r"
    recreate container shop-api-1: environment.LEVEL has changed; after db is healthy, init is done
    recreate container shop-side-1: it lives with api, which is made anew; after api has started
    ");
    let changed = project(&FILE.replace("test: [CMD, ok]", "test: [CMD, fine]"));
    insta::assert_snapshot!(text(&planned(&changed, &Wishes::default(), &there)), @r"
    recreate container shop-db-1: healthcheck has changed
    restart container shop-api-1: db is made anew; after db is healthy, init is done
    ");
}

#[test]
fn another_image_and_another_network_are_reasons() {
    let project = project(FILE);
    let mut there = observed(&project);
    there.images.get_mut("db:1").unwrap().id = Some("sha256:newer".into());
    there.networks.get_mut("shop_default").unwrap().id = Some("another".into());
    insta::assert_snapshot!(text(&planned(&project, &Wishes { services: vec!["db".into()], ..Wishes::default() }, &there)), @"recreate container shop-db-1: db:1 is another image now");
    insta::assert_snapshot!(text(&planned(&project, &Wishes { services: vec!["api".into()], no_dependencies: true, ..Wishes::default() }, &there)), @"recreate container shop-api-1: the network shop_default is another one now; after db is healthy, init is done");
}

#[test]
fn what_an_interrupted_update_left_is_removed_or_takes_its_place() {
    let project = project(FILE);
    let mut there = observed(&project);
    let mut replacement = there.containers.iter().find(|container| container.service == "db").unwrap().clone();
    replacement.name = "0123456789ab_shop-db-1".into();
    replacement.id = "id-of-new".into();
    replacement.state = State::default();
    replacement.labels.insert(labels::REPLACE.into(), "shop-db-1".into());
    there.containers.push(replacement);
    let only = Wishes { services: vec!["db".into()], ..Wishes::default() };
    insta::assert_snapshot!(text(&planned(&project, &only, &there)), @"remove container 0123456789ab_shop-db-1: an update that was interrupted left it; the one that it was to replace is there");
    // It runs, and the other one was stopped for it.
    let state = |phase| State { phase, ..State::default() };
    let mut done = there.clone();
    for container in &mut done.containers {
        if container.service == "db" {
            container.state = state(if container.id == "id-of-new" { Phase::Running } else { Phase::Exited });
        }
    }
    insta::assert_snapshot!(text(&planned(&project, &only, &done)), @r"
    remove container shop-db-1: an update that was interrupted stopped it; 0123456789ab_shop-db-1 runs
    rename container 0123456789ab_shop-db-1: an update that was interrupted left it; it becomes shop-db-1
    ");
    there.containers.retain(|container| container.id != "id-of-db");
    insta::assert_snapshot!(text(&planned(&project, &only, &there)), @r"
    rename container 0123456789ab_shop-db-1: an update that was interrupted left it; it becomes shop-db-1
    start container shop-db-1: it was made but never started
    ");
}

#[test]
fn a_container_that_compose_made_anew_has_its_place() {
    let project = project(FILE);
    let mut there = observed(&project);
    for container in &mut there.containers {
        container.labels.insert(labels::REPLACE.into(), format!("{}-1", container.service));
    }
    assert_eq!(text(&planned(&project, &Wishes::default(), &there)), "");
}

#[test]
fn ended_and_failed_containers_are_started_and_finished_jobs_are_not() {
    let project = project(FILE);
    let mut there = observed(&project);
    for container in &mut there.containers {
        container.state.phase = Phase::Exited;
        container.state.exit_code = Some(if container.service == "api" { 3 } else { 0 });
    }
    insta::assert_snapshot!(text(&planned(&project, &Wishes::default(), &there)), @r"
    start container shop-db-1: it has ended with exit code 0
    start container shop-api-1: it has ended with exit code 3; after db is healthy, init is done
    start container shop-side-1: it has ended with exit code 0; after api has started
    ");
}

#[test]
fn networks_and_volumes_of_others_are_told_of_and_never_touched() {
    let project = project(
        &FILE.replace("volumes: {data: {}}", "volumes: {data: {driver: nfs}}\nnetworks: {default: {internal: true}}"),
    );
    let mut there = observed(&project);
    there.volumes.get_mut("shop_data").unwrap().labels.clear();
    insta::assert_snapshot!(text(&planned(&project, &Wishes::default(), &there)), @r"
    warning: the network shop_default was made with another internal; `dev down`, then `dev up` makes it anew
    warning: the volume shop_data is there already, made by something else; it is used as it is (`external: true` says so)
    warning: the volume shop_data has the driver local, not nfs; it keeps its data and its driver
    ");
    let external =
        self::project(&FILE.replace("volumes: {data: {}}", "volumes: {data: {external: true, name: theirs}}"));
    let failure = plan(&external, &Wishes::default(), &there, ApiVersion::OLDEST).unwrap_err();
    assert!(failure.hints[0].contains("docker volume create theirs"), "{failure:?}");
}

#[test]
fn images_are_pulled_built_or_left() {
    let project = project(
        "services: {a: {image: 'a:1'}, b: {build: .}, c: {image: 'c:1', pull_policy: always}, d: {image: 'd:1', pull_policy: never}}",
    );
    let text = |wishes: &Wishes, observed: &Observed| {
        let steps = plan_images(&project, wishes, observed);
        steps.map(|steps| steps.iter().map(super::plan::Step::text).collect::<Vec<_>>().join("\n"))
    };
    let failure = text(&Wishes::default(), &Observed::default()).unwrap_err();
    assert!(failure.message.contains("d:1 is not here"), "{failure:?}");
    let mut there = Observed::default();
    there.images.insert("d:1".into(), ImageInspect::default());
    insta::assert_snapshot!(text(&Wishes::default(), &there).unwrap(), @r"
    pull image a:1: it is not here
    pull image c:1: it is not here
    build image shop-b: it is not here
    ");
    for reference in ["a:1", "shop-b", "c:1"] {
        there.images.insert(reference.into(), ImageInspect::default());
    }
    insta::assert_snapshot!(text(&Wishes::default(), &there).unwrap(), @"pull image c:1: there may be a newer one");
    insta::assert_snapshot!(text(&Wishes { build: true, pull: Pull::Missing, ..Wishes::default() }, &there).unwrap(), @"build image shop-b: a build is asked for");
    let names: BTreeSet<_> = there.images.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 4);
}

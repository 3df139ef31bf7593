//! Plans as texts: what is live, what is wanted, what follows.

use std::collections::BTreeMap;

use super::plan::{Live, MigrationPlan, Plan, Revision, Wanted};
use super::render::{Material, configuration, definition};
use crate::outputs::ServiceOutputs;
use crate::settings::{Deploy, EnvironmentSettings, RollbackOn, Settings};

const FILE: &str = "\
name: cinema
services:
  backend: {command: [serve], port: 3001, replicas: 2, environment: {LOG_LEVEL: info}, secrets: {JWT_KEYS: jwt}}
  page: {command: [serve, --page], depends_on: [backend], health_command: [streamify, serve, --check]}
environments: {prod: {}}
";

fn environment(file: &str) -> EnvironmentSettings {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("streamify.yaml"), file).unwrap();
    let flags = crate::settings::Flags { directory: Some(folder.path().into()), ..Default::default() };
    let settings = Settings::load(&flags, &crate::settings::Environment::default()).unwrap();
    settings.ship.environment("prod", &settings.name).unwrap()
}

fn outputs(name: &str) -> ServiceOutputs {
    ServiceOutputs {
        name: format!("cinema-prod-{name}"),
        execution_role: "arn:aws:iam::123456789012:role/execution".into(),
        task_role: format!("arn:aws:iam::123456789012:role/{name}"),
        security_groups: vec!["sg-1".into()],
        target_group: None,
        log_group: format!("/cinema/prod/{name}"),
        alarms: Vec::new(),
        container: name.to_owned(),
        reaches_data: name == "backend",
    }
}

fn wanted(file: &str, digit: char, rollback_on: &[RollbackOn]) -> BTreeMap<String, Wanted> {
    told(file, digit, rollback_on, &BTreeMap::new())
}

/// The same where Terraform tells the backend something.
fn told(
    file: &str,
    digit: char,
    rollback_on: &[RollbackOn],
    of_backend: &BTreeMap<String, String>,
) -> BTreeMap<String, Wanted> {
    let environment = environment(file);
    let image = format!("registry.example/app@sha256:{}", digit.to_string().repeat(64));
    let one = |(name, settings): (&String, &crate::settings::ServiceSettings)| {
        let from = |secret: &String| format!("/cinema/prod/{secret}");
        let secrets = settings.secrets.iter().map(|(variable, secret)| (variable.clone(), from(secret))).collect();
        let outputs = outputs(name);
        let nothing = BTreeMap::new();
        let material = Material {
            service: name,
            outputs: &outputs,
            image: &image,
            region: "eu-west-1",
            user: Some("65532:65532"),
            secrets: &secrets,
            told: if outputs.reaches_data { of_backend } else { &nothing },
            is_exec_enabled: false,
        };
        (
            name.clone(),
            Wanted {
                container: name.clone(),
                definition: definition(settings, material).unwrap(),
                configuration: configuration(None, &environment.deploy, rollback_on, &[]).unwrap(),
                replicas: Some(settings.replicas.try_into().unwrap()),
                depends_on: settings.depends_on.clone(),
            },
        )
    };
    environment.services.iter().map(one).collect()
}

/// ECS after a deploy of what is wanted.
fn live(wanted: &BTreeMap<String, Wanted>) -> BTreeMap<String, Live> {
    let one = |(name, wanted): (&String, &Wanted)| {
        let arn = format!("arn:aws:ecs:eu-west-1:123456789012:task-definition/cinema-prod-{name}:41");
        (
            name.clone(),
            Live {
                name: format!("cinema-prod-{name}"),
                revision: Revision { arn, leaves: wanted.leaves().unwrap() },
                configuration: Some(wanted.configuration.clone()),
                desired: wanted.replicas.unwrap(),
                ..Live::default()
            },
        )
    };
    wanted.iter().map(one).collect()
}

fn migration() -> MigrationPlan {
    MigrationPlan { service: "backend".into(), command: vec!["migrate".into(), "run".into()], timeout: 15 }
}

const USUAL: [RollbackOn; 2] = [RollbackOn::Failure, RollbackOn::Alarm];

#[test]
fn what_is_live_already_is_nothing_to_do() {
    let wanted = wanted(FILE, 'a', &USUAL);
    let plan = Plan::of("prod", &wanted, &live(&wanted), Some(migration())).unwrap();
    assert!(plan.is_empty() && plan.migration.is_none(), "{}", plan.text());
    assert_eq!(plan.text(), "backend  (nothing to do)\npage  (nothing to do)\n");
}

#[test]
fn a_new_image_migrates_registers_and_updates_in_order() {
    let live = live(&wanted(FILE, 'a', &USUAL));
    let plan = Plan::of("prod", &wanted(FILE, 'b', &USUAL), &live, Some(migration())).unwrap();
    insta::assert_snapshot!(plan.text(), @r"
    backend  (live: cinema-prod-backend:41)
      ~ image  registry.example/app@sha256:aaaaaaaaaaaa… → registry.example/app@sha256:bbbbbbbbbbbb…
    page  (live: cinema-prod-page:41)
      ~ image  registry.example/app@sha256:aaaaaaaaaaaa… → registry.example/app@sha256:bbbbbbbbbbbb…

    1. migrate migrate run: with the new revision of backend, before any service changes
    2. register cinema-prod-backend: image differs from cinema-prod-backend:41
    3. register cinema-prod-page: image differs from cinema-prod-page:41
    4. update cinema-prod-backend: to the new revision
    5. update cinema-prod-page: to the new revision, after backend
    ");
}

#[test]
fn settings_and_variables_are_said_by_field() {
    let live = live(&wanted(FILE, 'a', &USUAL));
    let file = FILE
        .replace("LOG_LEVEL: info", "LOG_LEVEL: debug, TRACE: 'on'")
        .replace("secrets: {JWT_KEYS: jwt}", "memory: 1024")
        .replace("replicas: 2", "replicas: 3");
    let plan = Plan::of("prod", &wanted(&file, 'a', &[RollbackOn::Failure]), &live, Some(migration())).unwrap();
    insta::assert_snapshot!(plan.text());
}

#[test]
fn what_terraform_tells_goes_below_what_the_file_says_and_never_beside_a_secret() {
    let of_backend = [("DATABASE_HOST", "db.internal"), ("LOG_LEVEL", "trace"), ("JWT_KEYS", "none")];
    let of_backend = of_backend.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let wanted_now = told(FILE, 'a', &USUAL, &of_backend);
    let plan = Plan::of("prod", &wanted_now, &live(&wanted(FILE, 'a', &USUAL)), Some(migration())).unwrap();
    insta::assert_snapshot!(plan.text(), @r"
    backend  (live: cinema-prod-backend:41)
      + environment.DATABASE_HOST  db.internal
    page  (nothing to do)

    1. migrate migrate run: with the new revision of backend, before any service changes
    2. register cinema-prod-backend: environment.DATABASE_HOST differs from cinema-prod-backend:41
    3. update cinema-prod-backend: to the new revision
    ");
}

#[test]
fn what_a_killed_deploy_has_registered_is_used_and_what_rolls_out_is_watched() {
    let (before, after) = (wanted(FILE, 'a', &USUAL), wanted(FILE, 'b', &USUAL));
    let mut live = live(&before);
    let of_after = |name: &str| after[name].leaves().unwrap();
    let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/cinema-prod-page:42".to_owned();
    live.get_mut("page").unwrap().newest = Some(Revision { arn, leaves: of_after("page") });
    let backend = live.get_mut("backend").unwrap();
    backend.revision.leaves = of_after("backend");
    backend.is_rolling_out = true;
    let plan = Plan::of("prod", &after, &live, Some(migration())).unwrap();
    assert_eq!(plan.migration, None, "it ran before the backend was told");
    let steps: Vec<String> =
        plan.steps().iter().map(|step| format!("{} {}: {}", step.action, step.resource, step.reason)).collect();
    assert_eq!(
        steps,
        [
            "watch cinema-prod-backend: cinema-prod-backend:41 is being rolled out already",
            "update cinema-prod-page: to cinema-prod-page:42, registered before, after backend",
        ]
    );
}

#[test]
fn what_terraform_says_of_a_rollout_stays() {
    use aws_sdk_ecs::types::{DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentLifecycleHook};
    let hook = DeploymentLifecycleHook::builder().hook_target_arn("arn:aws:lambda:hook").build();
    let breaker = DeploymentCircuitBreaker::builder().enable(false).rollback(false).reset_on_healthy_task(true).build();
    let live =
        DeploymentConfiguration::builder().lifecycle_hooks(hook.clone()).deployment_circuit_breaker(breaker).build();
    let rendered = configuration(Some(&live), &Deploy::default(), &USUAL, &[]).unwrap();
    assert_eq!(rendered.lifecycle_hooks(), [hook]);
    let breaker = rendered.deployment_circuit_breaker.unwrap();
    assert_eq!((breaker.enable, breaker.rollback, breaker.reset_on_healthy_task), (true, true, Some(true)));
}

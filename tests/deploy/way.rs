//! The way that a deploy goes when all is well, and what is said of it.

use std::collections::BTreeMap;

use super::world::{Ran, World, image, reference};

#[test]
fn a_deploy_goes_through_its_stages_and_a_second_one_has_nothing_to_do() {
    let world = World::new();
    let ran = world.deploy('a', &["--output", "json"]).ends_with(0);
    let story = ran.json();
    assert_eq!(story["changed"], true);
    let stages: Vec<&str> =
        story["record"]["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(
        stages,
        ["verify", "lock", "images", "plan", "migrations", "register", "update", "watch", "update", "watch", "record"]
    );
    assert_eq!(world.ecs.state().image("cinema-prod-backend"), reference('a'));
    assert_eq!(world.ecs.state().image("cinema-prod-page"), reference('a'));
    {
        let state = world.ecs.state();
        let migration = state.tasks.values().find(|task| task.service.is_none()).unwrap();
        assert_eq!(migration.command, ["migrate", "run"]);
        let updates = state.calls.iter().filter(|call| *call == "UpdateService").count();
        assert_eq!(updates, 2);
        // The page waits until the backend is live.
        let began = |name: &str| state.services[name].rollouts[0].created;
        assert!(began("cinema-prod-page") >= state.services["cinema-prod-backend"].rollouts[0].finished.unwrap());
    }
    // Told, and bounded: what a rollout of a minute costs is a few calls a look, and no more looks than news.
    let requests = story["requests"].as_u64().unwrap();
    assert!((20..90).contains(&requests), "{requests} requests");
    let before = world.ecs.state().calls.len();
    let ran = world.deploy('a', &["--output", "json"]).ends_with(0);
    assert_eq!(ran.json()["changed"], false);
    let calls = world.ecs.state().calls[before..].to_vec();
    assert!(calls.iter().all(|call| call.starts_with("Describe")), "{calls:?}");
    assert!(calls.len() <= 4, "{calls:?}");
    let requests = ran.json()["requests"].as_u64().unwrap();
    assert!(requests <= 16, "{requests} requests to find that nothing is to be done");
    world.deploy('a', &[]).ends_with(0).says("nothing to do");

    let history = world.history();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["ending"], "succeeded");
    assert!(history[0]["who"].as_str().unwrap().starts_with("anna@"));
    assert_eq!(history[0]["images"]["app"], reference('a'));
}

#[test]
fn a_diff_says_what_a_deploy_would_change_and_changes_nothing() {
    let world = World::new();
    let image_b = image('b');
    world.deploy('a', &[]).ends_with(0);
    let ran = world.run(&["diff", "prod", "--image", &image_b, "--exit-code"]).ends_with(3);
    insta::assert_snapshot!(ran.out);
    world.run(&["deploy", "prod", "--image", &image_b, "--dry-run"]).ends_with(0).says("register");
    world.run(&["diff", "prod", "--exit-code"]).ends_with(0).says("nothing to do");
    let state = world.ecs.state();
    assert_eq!(state.image("cinema-prod-backend"), reference('a'));
    assert_eq!(state.definitions["cinema-prod-backend"].len(), 2, "the shell, and the first deploy");
}

#[test]
fn tasks_are_told_where_secrets_are_and_never_what_they_are() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    let state = world.ecs.state();
    let definition = &state.definitions["cinema-prod-backend"][1];
    let container = &definition["containerDefinitions"][0];
    let from = container["secrets"][0]["valueFrom"].as_str().unwrap();
    assert!(from.ends_with("/jwt-keys"), "{from}");
    assert!(!definition.to_string().contains(super::world::SECRET));
    assert_eq!(container["user"], "65532:65532");
    assert_eq!(container["readonlyRootFilesystem"], true);
    assert_eq!(container["logConfiguration"]["logDriver"], "awslogs");
}

#[test]
fn a_pipeline_gets_the_result_and_a_summary() {
    let world = World::new();
    let path = |name: &str| world.file(name).display().to_string();
    let variables = BTreeMap::from([
        ("CI", "true".to_owned()),
        ("GITHUB_OUTPUT", path("output")),
        ("GITHUB_STEP_SUMMARY", path("summary")),
        ("GITHUB_ACTOR", "octo".to_owned()),
        ("GITHUB_SHA", "0123456789abcdef".to_owned()),
    ]);
    let ran = world.run_with(&variables, &["deploy", "prod", "--image", &image('a')]).ends_with(0);
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    let output = std::fs::read_to_string(world.file("output")).unwrap();
    assert!(output.contains("result=succeeded\n") && output.contains("deploy=1\n"), "{output}");
    assert!(output.contains("task_definition_backend=arn:aws:ecs:"), "{output}");
    let summary = std::fs::read_to_string(world.file("summary")).unwrap();
    assert!(summary.contains("✅ prod: deploy 1 succeeded") && summary.contains("```diff"), "{summary}");
    assert!(summary.contains("| migrations |") && summary.contains("requests to AWS"), "{summary}");
    assert_eq!(world.history()[0]["commit"], "0123456789abcdef");
}

#[test]
fn other_strategies_go_through_their_stages() {
    for (strategy, field) in [("blue-green", "bakeTimeInMinutes"), ("canary", "canaryConfiguration")] {
        let file =
            super::world::FILE.replace("deploy: {migration", &format!("deploy: {{strategy: {strategy}, migration"));
        let world = World::with(&file);
        // Slow enough for each stage to be seen.
        world.ecs.state().clock.set_rate(3.0);
        let ran = world.deploy('a', &["--skip-migration"]).ends_with(0).says("bake time");
        assert!(ran.err.contains("100 % of the traffic"), "{}", ran.err);
        let state = world.ecs.state();
        assert!(state.services["cinema-prod-backend"].configuration.get(field).is_some());
    }
}

#[test]
fn a_service_of_no_tasks_is_live_at_once() {
    let world = World::with(&super::world::FILE.replace("replicas: 2", "replicas: 0"));
    world.deploy('a', &[]).ends_with(0);
    assert_eq!(world.ecs.state().services["cinema-prod-backend"].desired, 0);
}

#[test]
fn a_restart_makes_new_tasks_of_the_same_revision() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    let before = world.ecs.state().services["cinema-prod-backend"].task_definition.clone();
    world.run(&["restart", "prod", "backend"]).ends_with(0);
    let state = world.ecs.state();
    let service = &state.services["cinema-prod-backend"];
    assert_eq!((service.rollouts.len(), &service.task_definition), (2, &before));
    assert_eq!(state.services["cinema-prod-page"].rollouts.len(), 1);
}

#[test]
fn the_whole_chain_goes_from_a_clean_state() {
    let file =
        super::world::FILE.replace("services:\n  backend:", "images: {app: {binary: busybox}}\nservices:\n  backend:");
    let world = World::with(&file);
    std::fs::copy("/bin/busybox", world.file("busybox")).unwrap();
    let registry = format!("127.0.0.1:{}", crate::support::aws::ministack().port);
    let variables = BTreeMap::from([
        ("STREAMIFY_ECR_REGISTRY", registry.clone()),
        ("XDG_CACHE_HOME", world.file("cache").display().to_string()),
    ]);
    // Looking builds, and pushes nothing.
    let looked = world.run_with(&variables, &["deploy", "prod", "--dry-run", "--output", "json"]).ends_with(0);
    let ran = world.run_with(&variables, &["deploy", "prod", "--output", "json"]).ends_with(0);
    let image = ran.json()["record"]["images"]["app"].as_str().unwrap().to_owned();
    assert!(image.starts_with(&format!("{registry}/cinema/app@sha256:")), "{image}");
    assert!(looked.out.contains(&image), "a dry run knows the digest: {}", looked.out);
    assert_eq!(world.ecs.state().image("cinema-prod-backend"), image);
    world.nothing_wrong();
    let again = world.run_with(&variables, &["deploy", "prod", "--output", "json"]).ends_with(0);
    assert_eq!(again.json()["changed"], false, "the same program is the same image");
}

#[test]
fn what_is_not_ready_is_named_before_anything_is_done() {
    let world = World::new();
    // The emulator has none of the environment's roles.
    let ran = Ran::of(&world.bare(&["deploy", "prod", "--image", &image('a')]).output().unwrap()).ends_with(1);
    ran.says("prod is not ready for a deploy").says("Role execution not found").says("--skip-verify");
    let calls = world.ecs.state().calls.clone();
    assert!(calls.iter().all(|call| call.starts_with("Describe") || call.starts_with("List")), "{calls:?}");
    assert_eq!(world.history().len(), 0);
}

#[test]
fn the_health_of_targets_and_alarms_is_watched() {
    use crate::support::aws::{Emulator, Player, ministack};
    use crate::support::ground::{Network, clients, target_group};
    use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
    // The one that plays target groups with health.
    let moto = Emulator::start(Player::Moto, &[]);
    let (config, watching) = (clients(&moto.endpoint()), clients(&ministack().endpoint()));
    let target = super::world::runtime().block_on(async {
        let network = Network::make(&moto.endpoint()).await;
        let target = target_group(&config, &network, "backend", "/health/ready").await;
        let targets = ["10.7.0.10", "10.7.1.10"].map(|ip| TargetDescription::builder().id(ip).port(3001).build());
        let balancers = aws_sdk_elasticloadbalancingv2::Client::new(&config);
        let call = balancers.register_targets().target_group_arn(&target).set_targets(Some(targets.to_vec()));
        call.send().await.unwrap();
        let alarms = aws_sdk_cloudwatch::Client::new(&watching);
        let alarm = alarms.put_metric_alarm().alarm_name("too-many-5xx").namespace("AWS/ApplicationELB");
        let alarm = alarm.metric_name("HTTPCode_Target_5XX_Count").period(60).evaluation_periods(1).threshold(1.0);
        let above = aws_sdk_cloudwatch::types::ComparisonOperator::GreaterThanThreshold;
        let sum = aws_sdk_cloudwatch::types::Statistic::Sum;
        alarm.comparison_operator(above).statistic(sum).send().await.unwrap();
        let state = alarms.set_alarm_state().alarm_name("too-many-5xx").state_reason("tried");
        state.state_value(aws_sdk_cloudwatch::types::StateValue::Alarm).send().await.unwrap();
        target
    });
    let world = World::with(&super::world::FILE.replace("deploy: {", "deploy: {alarms: [too-many-5xx], "));
    let outputs = std::fs::read_to_string(world.file("outputs.json")).unwrap();
    let mut outputs: serde_json::Value = serde_json::from_str(&outputs).unwrap();
    outputs["services"]["backend"]["target_group"] = target.into();
    std::fs::write(world.file("outputs.json"), outputs.to_string()).unwrap();
    // Slow enough for the time between the last task's start and ECS's word to be seen.
    world.ecs.state().clock.set_rate(2.0);
    let variables = BTreeMap::from([("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", moto.endpoint())]);
    let ran = world.run_with(&variables, &["deploy", "prod", "--skip-migration", "--image", &image('a')]).ends_with(0);
    ran.says("2/2 running · 2/2 healthy");
    let status = world.run_with(&variables, &["status", "prod", "--output", "json"]).ends_with(0).json();
    assert_eq!(status["services"]["backend"]["healthy"], serde_json::json!([2, 2]), "{status}");
    assert_eq!(status["alarms"]["too-many-5xx"], "alarm", "{status}");
}

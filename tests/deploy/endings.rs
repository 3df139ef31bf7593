//! Every way that a rollout can end, with its words and its exit code.

use super::world::{World, image, reference};
use crate::support::ecs::Fate;
use crate::support::process::eventually;

fn fails() -> Fate {
    Fate::Fails { code: 3, lines: vec!["starting".into(), "panic: no such column".into()] }
}

#[test]
fn a_breaker_that_trips_is_a_rollback_with_the_reason_and_the_log() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(fails());
    let ran = world.deploy('b', &[]).ends_with(5);
    let ran = ran
        .says("rolled back: Service deployment rolled back because the circuit breaker")
        .says("panic: no such column");
    assert!(ran.err.contains("3 tasks stopped: backend exited with 3"), "{}", ran.err);
    assert!(ran.err.contains("Not updated, since it comes after: page"), "{}", ran.err);
    assert_eq!(world.ecs.state().image("cinema-prod-backend"), reference('a'));
    assert_eq!(world.history()[0]["ending"], "rolled_back");
    // The lock was given back, and the next one goes through.
    world.deploy('c', &[]).ends_with(0);
}

#[test]
fn a_breaker_that_may_not_roll_back_leaves_a_failure() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(fails());
    world.deploy('b', &["--rollback-on", "alarm"]).ends_with(1).says("failed: Service deployment failed");
    assert_eq!(world.history()[0]["ending"], "failed");
}

#[test]
fn an_alarm_takes_it_back_and_is_named() {
    let world = World::with(&super::world::FILE.replace("deploy: {", "deploy: {alarms: [too-many-5xx], "));
    world.deploy('a', &[]).ends_with(0);
    let alarm = Fate::Alarms("too-many-5xx".into());
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(alarm);
    world.deploy('b', &[]).ends_with(5).says("alarm too-many-5xx");
}

#[test]
fn another_deployment_of_the_service_supersedes_ours() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let child = world.start(&["deploy", "prod", "--image", &image('b'), "--skip-migration"]);
    eventually("the rollout goes on", || world.ecs.state().services["cinema-prod-backend"].rollouts.len() == 2);
    // Somebody tells the service to run what it ran before.
    let first =
        world.ecs.state().definitions["cinema-prod-backend"][1]["taskDefinitionArn"].as_str().unwrap().to_owned();
    world.ecs.state().begin_rollout("cinema-prod-backend", &first);
    let ran = super::world::Ran::of(&child.wait_with_output().unwrap());
    ran.ends_with(7).says("superseded by cinema-prod-backend:2");
    assert_eq!(world.history()[0]["ending"], "superseded");
}

#[test]
fn who_stops_it_is_not_called_a_failure() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let child = world.start(&["deploy", "prod", "--image", &image('b'), "--skip-migration"]);
    eventually("the rollout goes on", || world.ecs.state().services["cinema-prod-backend"].rollouts.len() == 2);
    let now = world.ecs.state().clock.now();
    let mut state = world.ecs.state();
    let service = state.services.get_mut("cinema-prod-backend").unwrap();
    service.rollouts[1].finish("STOPPED", "Service deployment stopped by a user.", now);
    drop(state);
    super::world::Ran::of(&child.wait_with_output().unwrap()).ends_with(8).says("stopped by a user");
}

#[test]
fn a_throttled_api_is_waited_for() {
    let world = World::new();
    // After a refusal the client slows down by itself: two are enough to see it.
    for operation in ["UpdateService", "DescribeServiceDeployments"] {
        world.ecs.state().throttled.insert(operation.into(), 1);
    }
    world.deploy('a', &["--skip-migration"]).ends_with(0);
    assert!(world.ecs.state().throttled.values().all(|left| *left == 0));
}

#[test]
fn a_token_that_expires_in_the_middle_is_said_and_the_next_run_finishes() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let child = world.start(&["deploy", "prod", "--image", &image('b'), "--skip-migration"]);
    eventually("the rollout goes on", || world.ecs.state().services["cinema-prod-backend"].rollouts.len() == 2);
    let count = world.ecs.state().calls.len();
    world.ecs.state().expired_after = Some(count + 2);
    let ran = super::world::Ran::of(&child.wait_with_output().unwrap()).ends_with(1);
    let ran = ran.says("expired").says("The rollout goes on in ECS");
    assert!(!ran.err.contains("rolled back"), "{}", ran.err);
    world.ecs.state().expired_after = None;
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().rollouts[1].fate = Fate::Succeeds;
    world.deploy('b', &["--skip-migration"]).ends_with(0);
    assert_eq!(
        world.ecs.state().services["cinema-prod-backend"].rollouts.len(),
        2,
        "it was watched on, not begun again"
    );
    assert_eq!(world.ecs.state().image("cinema-prod-page"), reference('b'));
}

#[test]
fn a_migration_that_fails_stops_everything_before_services_change() {
    let world = World::new();
    world.ecs.state().one_offs.push_back((2, vec!["applying 7".into(), "relation \"videos\" is locked".into()]));
    let ran = world.deploy('a', &[]).ends_with(1);
    ran.says("the migration failed: backend exited with 2")
        .says("relation \"videos\" is locked")
        .says("no service was changed");
    assert!(!world.ecs.state().calls.iter().any(|call| call == "UpdateService"));
    assert_eq!(world.history()[0]["ending"], "failed");
    world.deploy('a', &[]).ends_with(0);
}

#[test]
fn a_rollback_goes_to_the_last_good_deploy_by_the_history() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.deploy('b', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(fails());
    world.deploy('c', &[]).ends_with(5);
    // What runs is b; the one before it that was good is a, and c never was.
    world.run(&["rollback", "prod"]).ends_with(0).says("back to deploy 1");
    for service in ["cinema-prod-backend", "cinema-prod-page"] {
        assert_eq!(world.ecs.state().image(service), reference('a'));
    }
    let history = world.history();
    assert_eq!((&history[0]["purpose"], &history[0]["target"]), (&"rollback".into(), &1.into()));
    assert_eq!(history[2]["taken_back_by"], 4);
    // Nothing is left to come back to, but what was taken back can be named.
    world.run(&["rollback", "prod"]).ends_with(1).says("no good deploy");
    world.run(&["rollback", "prod", "--to", "2"]).ends_with(0);
    assert_eq!(world.ecs.state().image("cinema-prod-page"), reference('b'));
    world.run(&["rollback", "prod", "--to", "3"]).ends_with(2).says("rolled back: it is nothing to come back to");
}

#[test]
fn a_rollback_in_the_middle_is_ecs_own_and_whoever_deploys_sees_it() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let child = world.start(&["deploy", "prod", "--image", &image('b'), "--skip-migration"]);
    eventually("the rollout goes on", || world.ecs.state().services["cinema-prod-backend"].rollouts.len() == 2);
    world.run(&["rollback", "prod"]).ends_with(0).says("rolled back");
    super::world::Ran::of(&child.wait_with_output().unwrap()).ends_with(5).says("StopServiceDeployment request");
    assert_eq!(world.ecs.state().image("cinema-prod-backend"), reference('a'));
    assert_eq!(world.history()[0]["ending"], "rolled_back");
}

#[test]
fn a_time_that_is_over_says_that_it_goes_on_or_takes_it_back() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    let hang = || world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    hang();
    let ran = world.deploy('b', &["--skip-migration", "--timeout", "0.05"]).ends_with(6);
    ran.says("backend is not live after 3 s, and still rolling out")
        .says("streamify deploy prod, which finds it going on");
    assert_eq!(world.history()[0]["ending"], "timed_out");
    assert_eq!(world.ecs.state().image("cinema-prod-backend"), reference('b'));
    // The same command finds it going on, and this time takes it back at the end.
    let back = ["--skip-migration", "--timeout", "0.05", "--rollback-on", "failure,alarm,timeout"];
    world.deploy('b', &back).ends_with(5).says("the time is over: rolling back");
    assert_eq!(world.ecs.state().image("cinema-prod-backend"), reference('a'));
    assert_eq!(world.ecs.state().services["cinema-prod-backend"].rollouts.len(), 2);
}

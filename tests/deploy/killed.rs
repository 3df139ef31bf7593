//! Killed without a warning at every stage: the next run finds what is done and finishes.

use super::world::{Ran, World, image, reference};
use crate::support::process::eventually;

/// Kills a deploy as soon as the operation was called, while its answer does not come; then deploys again.
fn killed_at(operation: &str, times: usize) {
    let world = World::new();
    world.ecs.state().held = Some(operation.to_owned());
    let mut child = world.start(&["deploy", "prod", "--image", &image('a')]);
    let count = || world.ecs.state().calls.iter().filter(|call| *call == operation).count();
    eventually(&format!("{operation} is called"), || count() >= times);
    // The change itself is made in a moment.
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    world.ecs.state().held = None;
    world.deploy('a', &[]).ends_with(0);
    for service in ["cinema-prod-backend", "cinema-prod-page"] {
        let state = world.ecs.state();
        assert_eq!(state.image(service), reference('a'));
        assert_eq!(state.services[service].rollouts.len(), 1, "{service} was rolled out once");
        assert_eq!(state.definitions[service].len(), 2, "{service} has one revision besides its shell");
    }
    let history = world.history();
    assert_eq!(history[0]["ending"], "succeeded");
    assert!(history.iter().skip(1).all(|record| record["ending"] == "interrupted"), "{history:?}");
    world.deploy('a', &[]).ends_with(0).says("nothing to do");
}

#[test]
fn before_the_lock() {
    killed_at("DescribeServices", 1);
}

#[test]
fn while_it_compares() {
    killed_at("DescribeTaskDefinition", 1);
}

#[test]
fn while_it_registers_the_revision_of_the_migration() {
    killed_at("RegisterTaskDefinition", 1);
}

#[test]
fn while_the_migration_starts_and_the_next_run_joins_it() {
    let world = World::new();
    world.ecs.state().held = Some("RunTask".into());
    let mut child = world.start(&["deploy", "prod", "--image", &image('a')]);
    let count = |operation: &str| world.ecs.state().calls.iter().filter(|call| *call == operation).count();
    eventually("the migration is started", || count("RunTask") == 1);
    // It is still running when the next one comes.
    world.ecs.state().clock.set_rate(0.0);
    child.kill().unwrap();
    child.wait().unwrap();
    world.ecs.state().held = None;
    let next = world.start(&["deploy", "prod", "--image", &image('a')]);
    eventually("the next one looks for it", || count("ListTasks") == 2);
    world.ecs.state().clock.set_rate(12.0);
    Ran::of(&next.wait_with_output().unwrap()).ends_with(0);
    assert_eq!(count("RunTask"), 1);
}

#[test]
fn while_the_migration_runs() {
    killed_at("DescribeTasks", 1);
}

#[test]
fn while_a_service_is_told() {
    killed_at("UpdateService", 1);
}

#[test]
fn while_it_watches() {
    killed_at("DescribeServiceDeployments", 1);
}

//! The lock: one goes on, the others hear who.

use super::world::{Ran, World, image};
use crate::support::ecs::Fate;
use crate::support::process::eventually;

#[test]
fn of_two_deploys_one_goes_on_and_the_other_names_it() {
    let world = World::new();
    let first = world.start(&["deploy", "prod", "--image", &image('a')]);
    let second = world.start(&["deploy", "prod", "--image", &image('b')]);
    let (first, second) = (Ran::of(&first.wait_with_output().unwrap()), Ran::of(&second.wait_with_output().unwrap()));
    let (winner, loser) = if first.code == Some(0) { (first, second) } else { (second, first) };
    winner.ends_with(0);
    loser.ends_with(1).says("prod is being deployed by anna@").says("--break-lock");
    assert_eq!(world.history().len(), 1);
}

#[test]
fn who_waits_comes_next() {
    let world = World::new();
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let first = world.start(&["deploy", "prod", "--image", &image('a'), "--skip-migration"]);
    eventually("the first holds the lock", || !world.ecs.state().services["cinema-prod-backend"].rollouts.is_empty());
    let second = world.start(&["deploy", "prod", "--image", &image('b'), "--skip-migration", "--wait", "5"]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().rollouts[0].fate = Fate::Succeeds;
    Ran::of(&first.wait_with_output().unwrap()).ends_with(0);
    Ran::of(&second.wait_with_output().unwrap()).ends_with(0);
    assert_eq!(world.history().len(), 2);
}

#[test]
fn a_lock_that_is_broken_stops_its_holder_before_the_next_change() {
    let world = World::new();
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let first = world.start(&["deploy", "prod", "--image", &image('a'), "--skip-migration"]);
    eventually("the first holds the lock", || !world.ecs.state().services["cinema-prod-backend"].rollouts.is_empty());
    // Nobody can be asked here, so it takes a yes.
    world
        .run(&["deploy", "prod", "--image", &image('a'), "--break-lock", "--skip-migration"])
        .ends_with(1)
        .says("--yes");
    let second = world.start(&["deploy", "prod", "--image", &image('a'), "--skip-migration", "--break-lock", "--yes"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().rollouts[0].fate = Fate::Succeeds;
    Ran::of(&first.wait_with_output().unwrap()).ends_with(1).says("lost the lock");
    Ran::of(&second.wait_with_output().unwrap()).ends_with(0);
    let state = world.ecs.state();
    assert_eq!(state.services["cinema-prod-page"].rollouts.len(), 1, "only the second one went on");
}

#[test]
fn a_holder_that_was_asleep_finds_out_before_its_next_change() {
    use nix::sys::signal::{Signal, kill};
    let world = World::new();
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let first = world.start(&["deploy", "prod", "--image", &image('a'), "--skip-migration"]);
    eventually("the first holds the lock", || !world.ecs.state().services["cinema-prod-backend"].rollouts.is_empty());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(first.id()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let second = world.start(&["deploy", "prod", "--image", &image('a'), "--skip-migration"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().rollouts[0].fate = Fate::Succeeds;
    Ran::of(&second.wait_with_output().unwrap()).ends_with(0).says("took the lock over: no heartbeat for 4 s");
    kill(pid, Signal::SIGCONT).unwrap();
    Ran::of(&first.wait_with_output().unwrap()).ends_with(1).says("lost the lock");
    let state = world.ecs.state();
    assert_eq!(state.services["cinema-prod-page"].rollouts.len(), 1, "only the second one went on");
    drop(state);
    assert_eq!(world.history()[0]["ending"], "succeeded");
}

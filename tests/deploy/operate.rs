//! What is done with a deployment: status, logs, one-off tasks, more tasks, a shell.

use std::io::Write;
use std::process::Stdio;

use super::world::{Ran, World, runtime};
use crate::support::ecs::{Fate, channel};
use crate::support::process::eventually;

#[test]
fn status_says_what_runs_and_who_deployed_it() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    let status = world.run(&["status", "prod", "--output", "json"]).ends_with(0).json();
    let backend = &status["services"]["backend"];
    assert_eq!(backend["revision"], "cinema-prod-backend:2");
    assert_eq!(
        (&backend["running"], &backend["desired"], &backend["rollout"]),
        (&2.into(), &2.into(), &"completed".into())
    );
    assert_eq!(status["last"]["number"], 1);
    assert!(status["locked_by"].is_null());
    world.run(&["status", "prod"]).ends_with(0).says("last deploy: 1 by anna@").says("has reached a steady state.");
}

#[test]
fn a_one_off_task_prints_and_ends_with_its_code() {
    let world = World::new();
    world.deploy('a', &["--skip-migration"]).ends_with(0);
    world.ecs.state().one_offs.push_back((7, vec!["seven".into(), "of nine".into()]));
    let ran = world.run(&["run", "prod", "backend", "--env", "A=1", "--", "migrate", "status"]).ends_with(7);
    assert_eq!(ran.out, "seven\nof nine\n");
    let state = world.ecs.state();
    let task = state.tasks.values().find(|task| task.service.is_none()).unwrap();
    assert_eq!(task.command, ["migrate", "status"]);
    drop(state);
    world.run(&["run", "prod", "nobody", "--", "x"]).ends_with(2).says("There is backend, page.");
}

#[test]
fn logs_come_from_all_services_once_and_filtered() {
    let world = World::new();
    world.deploy('a', &["--skip-migration"]).ends_with(0);
    world.ecs.state().one_offs.push_back((0, vec!["one fish".into(), "two fish".into(), "red bird".into()]));
    world.run(&["run", "prod", "backend", "--", "x"]).ends_with(0);
    let ran = world.run(&["logs", "prod", "--grep", "fish$", "--output", "json"]).ends_with(0);
    let texts: Vec<String> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["one fish", "two fish"]);
    world.run(&["logs", "prod", "page"]).ends_with(0);
    world.run(&["logs", "prod", "--since", "soon"]).ends_with(2).says("neither a time nor a while");
}

#[test]
fn logs_follow_until_they_are_interrupted() {
    let world = World::new();
    world.deploy('a', &["--skip-migration"]).ends_with(0);
    let child = world.start(&["logs", "prod", "--follow"]);
    world.ecs.state().one_offs.push_back((0, vec!["heard".into()]));
    world.run(&["run", "prod", "backend", "--", "x"]).ends_with(0);
    std::thread::sleep(std::time::Duration::from_secs(4));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap()).ends_with(0);
    assert_eq!(ran.out.matches("heard").count(), 1, "{}", ran.out);
}

#[test]
fn scaling_says_how_to_undo_it_and_the_next_deploy_leaves_it() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world
        .run(&["scale", "prod", "backend=5"])
        .ends_with(0)
        .says("backend: 2 → 5")
        .says("streamify scale prod backend=2");
    world.deploy('b', &[]).ends_with(0);
    assert_eq!(world.ecs.state().services["cinema-prod-backend"].desired, 5);
}

#[test]
fn interrupted_without_a_terminal_it_detaches_and_says_so() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    let child = world.start(&["deploy", "prod", "--image", &super::world::image('b'), "--skip-migration"]);
    eventually("it is watched", || {
        world.ecs.state().calls.iter().filter(|call| *call == "DescribeServiceDeployments").count() > 3
    });
    eventually("the rollout goes on", || world.ecs.state().services["cinema-prod-backend"].rollouts.len() == 2);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap()).ends_with(130);
    ran.says("detached: the rollout of backend goes on in ECS").says("page was not updated yet");
    assert_eq!(world.history()[0]["ending"], "detached");
    // The lock is free at once.
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().rollouts[1].fate = Fate::Succeeds;
    world.deploy('b', &["--skip-migration"]).ends_with(0);
}

#[test]
fn exec_carries_keys_and_output_and_the_exit_code() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    world.run(&["exec", "prod", "backend"]).ends_with(1).says("exec is off");
    {
        let mut state = world.ecs.state();
        state.services.get_mut("cinema-prod-backend").unwrap().exec = true;
        state.add_running_task("cinema-prod-backend");
    }
    let listener = runtime().block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    world.ecs.state().channel = Some(format!("ws://{}", listener.local_addr().unwrap()));
    let agent = runtime().spawn(channel::serve(listener));
    let mut child = world
        .command(&["exec", "prod", "backend", "--", "sh", "-c", "echo hello"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"ls -l\n").unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap()).ends_with(3);
    assert_eq!(ran.out, "LS -L\nbye\n");
    assert_eq!(runtime().block_on(agent).unwrap(), "ls -l\n");
    world.nothing_wrong();
}

/// Types into a terminal that a deploy has, once its rollout goes on; gives how it ended.
fn typed(world: &World, keys: &[&str]) -> Ran {
    let image = super::world::image('b');
    let own = world.command(&["deploy", "prod", "--image", &image, "--skip-migration"]);
    let words: Vec<String> = std::iter::once(own.get_program())
        .chain(own.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut command = std::process::Command::new("script");
    // A shell in between would take the Ctrl-C for itself, too.
    command
        .args(["--quiet", "--return", "--command", &format!("exec {}", words.join(" ")), "/dev/null"])
        .current_dir(world.folder.path());
    command.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    eventually("the rollout goes on", || world.ecs.state().services["cinema-prod-backend"].rollouts.len() == 2);
    std::thread::sleep(std::time::Duration::from_secs(2));
    for key in keys {
        stdin.write_all(key.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn interrupted_on_a_terminal_it_asks() {
    let world = World::new();
    world.deploy('a', &[]).ends_with(0);
    for _ in 0..2 {
        world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().fates.push_back(Fate::Hangs);
    }
    typed(&world, &["\u{3}", "r\n"]).ends_with(5).says("The rollout goes on in ECS").says("rolled back");
    assert_eq!(world.history()[0]["ending"], "rolled_back");
    world.ecs.state().services.get_mut("cinema-prod-backend").unwrap().rollouts.remove(1);
    typed(&world, &["\u{3}", "d\n"]).ends_with(130).says("detached");
    assert_eq!(world.history()[0]["ending"], "detached");
}

#[test]
fn interrupted_while_the_migration_runs_it_stops_the_task_and_changes_nothing() {
    let world = World::new();
    // The task runs for a while.
    world.ecs.state().clock.set_rate(1.0);
    let child = world.start(&["deploy", "prod", "--image", &super::world::image('a')]);
    eventually("the migration is watched", || world.ecs.state().calls.iter().any(|call| call == "DescribeTasks"));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    Ran::of(&child.wait_with_output().unwrap()).ends_with(143);
    let state = world.ecs.state();
    assert!(
        state.calls.iter().any(|call| call == "StopTask") && !state.calls.iter().any(|call| call == "UpdateService")
    );
    drop(state);
    world.ecs.state().clock.set_rate(12.0);
    world.deploy('a', &[]).ends_with(0);
}

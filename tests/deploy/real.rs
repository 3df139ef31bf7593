//! Tasks as real containers: MiniStack starts what is deployed on a Docker daemon, from the image that was pushed to its
//! registry. It plays no service deployments, so rollouts are followed elsewhere; here programs really run.

use std::process::Command;

use aws_sdk_ecs::types::{ContainerDefinition, LaunchType};
use serde_json::json;

use super::world::{Ran, deploys_table, runtime};
use crate::docker::support::Daemon;
use crate::support::aws::{ACCOUNT, Emulator, Player, variables};
use crate::support::ground::{clients, log_group};
use crate::support::process::{eventually, folder};

const FILE: &str = "\
name: real
images:
  app: {binary: busybox, compression: gzip}
services:
  backend:
    command: [sh, -c, 'echo serving $FLAVOUR; exec sleep 600']
    environment: {FLAVOUR: vanilla}
environments:
  prod:
    region: eu-west-1
    deploy: {migration: {service: backend, command: [sh, -c, 'echo migrating; test ! -e /etc/broken']}}
";

fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).env("DOCKER_HOST", &Daemon::shared().host).output().unwrap();
    assert!(output.status.success(), "docker {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_pushed_runs_as_a_container_with_its_own_exit_code_and_log() {
    let emulator = Emulator::start(Player::MiniStack, &[("DOCKER_HOST", &Daemon::shared().host)]);
    let config = clients(&emulator.endpoint());
    runtime().block_on(async {
        deploys_table(&emulator, "deploys").await;
        log_group(&config, "/real/backend").await;
        let ecs = aws_sdk_ecs::Client::new(&config);
        ecs.create_cluster().cluster_name("real").send().await.unwrap();
        let shell = ContainerDefinition::builder().name("backend").image("scratch").memory(128).build();
        ecs.register_task_definition().family("real-backend").container_definitions(shell).send().await.unwrap();
        let service = ecs.create_service().cluster("real").service_name("real-backend").task_definition("real-backend");
        service.desired_count(0).launch_type(LaunchType::Fargate).send().await.unwrap();
    });
    let folder = folder();
    std::fs::write(folder.path().join("streamify.yaml"), FILE).unwrap();
    std::fs::copy("/bin/busybox", folder.path().join("busybox")).unwrap();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/any");
    let outputs = json!({
        "cluster": "real", "subnets": ["subnet-1"], "assign_public_ip": false, "deploys_table": "deploys", "secrets": {},
        "services": {"backend": {
            "name": "real-backend", "execution_role": role, "task_role": role, "security_groups": ["sg-1"],
            "target_group": null, "log_group": "/real/backend",
        }},
    });
    std::fs::write(folder.path().join("outputs.json"), outputs.to_string()).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        command.args(&words[..end]).args(["--outputs", "outputs.json"]).args(&words[end..]);
        command.current_dir(folder.path()).env_clear().envs(variables(&emulator.endpoint()));
        command.env("STREAMIFY_ECR_REGISTRY", format!("127.0.0.1:{}", emulator.port));
        command.env("XDG_CACHE_HOME", folder.path().join("cache"));
        Ran::of(&command.output().unwrap())
    };

    run(&["deploy", "prod", "--skip-verify", "--detach"]).ends_with(0).says("migrating");
    let running = || docker(&["ps", "--no-trunc", "--format", "{{.Image}} {{.Command}}"]);
    eventually("the service's container runs", || running().contains("/real/app@sha256:"));

    let ran = run(&["run", "prod", "backend", "--", "sh", "-c", "echo one $FLAVOUR; exit 7"]).ends_with(7);
    assert_eq!(ran.out, "one vanilla\n");
    run(&["logs", "prod", "backend"]).ends_with(0).says("serving vanilla").says("migrating");
}

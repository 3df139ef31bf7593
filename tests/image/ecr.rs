//! ECR as an emulator plays it: repositories made on demand, tags that never move.

use std::process::{Command, Output};

use serde_json::Value;

use super::support::{Project, SHOP, err, text};
use crate::support::aws::{Emulator, ministack, variables};

/// The program of the project changes with the test; so does the repository.
fn project(repository: &str) -> Project {
    let project = Project::new("");
    let image = SHOP.replace("{binary", &format!("{{repository: {repository}, binary"));
    project.write("streamify.yaml", &format!("name: cinema\nimages:\n{image}environments: {{prod: {{}}}}\n"));
    project
}

fn push(project: &Project, aws: &Emulator, words: &[&str]) -> Output {
    let mut command =
        project.command(&[&["push", "shop", "--environment", "prod", "--output", "json"], words].concat());
    command.envs(variables(&aws.endpoint())).env("STREAMIFY_ECR_REGISTRY", format!("127.0.0.1:{}", aws.port));
    command.output().unwrap()
}

/// A call of ECR's own API.
fn call(aws: &Emulator, action: &str, body: &Value) -> Value {
    let scope = "Credential=test/20260101/eu-west-1/ecr/aws4_request";
    let output = Command::new("curl")
        .args(["-fsS", "-X", "POST", &aws.endpoint(), "-H", "Content-Type: application/x-amz-json-1.1"])
        .args(["-H", &format!("X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.{action}")])
        .args(["-H", &format!("Authorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x")])
        .args(["-d", &body.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{action}: {}", err(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_repository_is_made_with_tags_that_never_move() {
    let aws = ministack();
    let project = project("cinema/on-demand");
    let output = push(&project, aws, &["--tag", "1.0.0"]);
    assert!(output.status.success(), "{}", err(&output));
    let pushed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = call(aws, "DescribeRepositories", &serde_json::json!({ "repositoryNames": ["cinema/on-demand"] }));
    let repository = &found["repositories"][0];
    assert_eq!(repository["imageTagMutability"], "IMMUTABLE");
    assert_eq!(repository["imageScanningConfiguration"]["scanOnPush"], true);
    let policy = call(aws, "GetLifecyclePolicy", &serde_json::json!({ "repositoryName": "cinema/on-demand" }));
    assert!(text(&policy["lifecyclePolicyText"]).contains("imageCountMoreThan"));
    let images = call(aws, "DescribeImages", &serde_json::json!({ "repositoryName": "cinema/on-demand" }));
    let digests: Vec<&Value> =
        images["imageDetails"].as_array().unwrap().iter().map(|one| &one["imageDigest"]).collect();
    assert!(digests.contains(&&pushed[0]["digest"]), "{digests:?}");

    let output = push(&project, aws, &["--tag", "1.0.0"]);
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again[0]["unchanged"], true);
    project.change(10, 100);
    let output = push(&project, aws, &["--tag", "1.0.0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("never move"), "{}", err(&output));
}

#[test]
fn another_account_is_not_pushed_to() {
    let aws = ministack();
    let project = project("cinema/elsewhere");
    let file = std::fs::read_to_string(project.path().join("streamify.yaml")).unwrap();
    project.write("streamify.yaml", &file.replace("{prod: {}}", "{prod: {account: '999999999999'}}"));
    let output = push(&project, aws, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("999999999999"), "{}", err(&output));
}

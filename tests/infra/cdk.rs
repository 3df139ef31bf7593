//! `--with cdk`: what is taken and refused before the CDK sees it, and the real CDK on the true stack and on a small one
//! that AWS as it is played here can make.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{NOWHERE, ends};
use crate::aws::{Project, Ran};
use crate::support::aws::{Emulator, Player};

const CONFIGURATION: &str = "name: rooted
services:
  api: {port: 3001, cpu: 512, memory: 1024, secrets: {JWT_KEYS: JWT_KEYS}}
environments:
  prod:
    account: '123456789012'
    region: eu-west-1
    variables:
      domain: rooted.example.com
      zone_id: Z0123456789
      routes: {api: ['/*']}
";

/// This project's own app, as if it was the project's.
pub fn with_true_app(project: &Project) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/cdk");
    let to = project.folder.path().join("infra/cdk");
    fs::create_dir_all(&to).unwrap();
    let copied = Command::new("sh")
        .args(["-c", "cp -r *.ts cdk.json package.json variables.json parts \"$1\"", "sh", to.to_str().unwrap()])
        .current_dir(&from)
        .status();
    assert!(copied.unwrap().success());
    with_packages(&to);
    to
}

/// The real CDK beside an app; installed once.
fn with_packages(app: &Path) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = Command::new(project.join("scripts/node-packages.sh")).arg("infra/cdk").output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    symlink(project.join("infra/cdk/node_modules"), app.join("node_modules")).unwrap();
}

fn with(project: &Project, variables: &str) -> Ran {
    let start = CONFIGURATION.split("      domain:").next().unwrap();
    super::write_configuration(project, &format!("{start}      {variables}\n"));
    project.run(&["infra", "render", "prod", "--with", "cdk"])
}

#[test]
fn variables_are_checked_as_those_of_terraform_are() {
    let project = Project::new(NOWHERE, CONFIGURATION);
    let app = with_true_app(&project);
    let written = app.join("streamify.prod.json");
    ends(
        &with(&project, "databse: {multi_az: true}"),
        2,
        &["streamify.yaml:9:16: infra/cdk declares no variable `databse`", "Did you mean `database`?"],
    );
    ends(
        &with(&project, "database: {multi_az: 'yes'}"),
        2,
        &["streamify.yaml:9:28: `database.multi_az` does not fit", "infra/cdk/variables.json:", "without quotes"],
    );
    ends(&with(&project, "capacity: {FARGATE: {wieght: 1}}"), 2, &["Did you mean `weight`?"]);
    ends(&with(&project, "region: eu-north-1"), 2, &["`region` follows from the rest of streamify.yaml"]);
    ends(&with(&project, "alarm_email: ghp_0123456789"), 2, &["is a secret"]);
    let both = with(&project, "databse: 1\n      cidr: 2");
    ends(&both, 2, &["2 variables of prod don't fit", "`databse`", "`cidr`"]);
    assert!(!written.exists());

    // What only Terraform has a use for is left out and named, with the reason.
    let left = with(&project, "state: {bucket: b, key: k}\n      placeholder_image: busybox\n      protect: false");
    ends(&left, 0, &["left out, as infra/cdk has no use for it: `placeholder_image` (", "`state` (it is where"]);
    let data: Value = serde_json::from_str(&fs::read_to_string(&written).unwrap()).unwrap();
    assert_eq!(
        (&data["protect"], data.get("state"), &data["services"]["api"]["cpu"]),
        (&json!(false), None, &json!(512))
    );
    let old = project.run(&["infra", "render", "prod", "--with", "cdk", "--check"]);
    ends(&old, 0, &[]);
    super::write_configuration(&project, CONFIGURATION);
    let old = project.run(&["infra", "render", "prod", "--with", "cdk", "--check"]);
    ends(&old, 3, &["streamify infra render prod --with cdk"]);
}

#[test]
fn the_true_stack_is_valid_and_its_plan_is_shown() {
    let aws = Emulator::start(Player::MiniStack, &[]);
    let project = Project::new(&aws.endpoint(), CONFIGURATION);
    let app = with_true_app(&project);
    let valid = project.run(&["infra", "validate", "prod", "--with", "cdk"]);
    ends(&valid, 0, &["wrote infra/cdk/streamify.prod.json"]);
    assert_eq!(valid.out, "✔ prod is valid: infra/cdk\n");

    let plan = project.run(&["infra", "plan", "prod", "--with", "cdk", "--exit-code"]);
    ends(&plan, 3, &["they begin without tasks: api", "streamify infra apply prod --with cdk"]);
    for line in ["Stack rooted-prod", "[+] AWS::ECS::Service", "[+] AWS::WAFv2::WebACL"] {
        assert!(plan.out.contains(line), "no {line} in {}", plan.out);
    }
    let template = fs::read_to_string(app.join("cdk.out/rooted-prod.template.json")).unwrap();
    let template: Value = serde_json::from_str(&template).unwrap();
    let services: Vec<&Value> = super::names::of_type(&template, "AWS::ECS::Service").collect();
    assert_eq!((services.len(), &services[0]["DesiredCount"]), (1, &json!(0)));

    // What is right for its type and still wrong is the app's to say, with its key.
    super::write_configuration(
        &project,
        &CONFIGURATION.replace("memory: 1024", "memory: 1024}\n  job: {cpu: 256, memory: 4096"),
    );
    let wrong = project.run(&["infra", "validate", "prod", "--with", "cdk"]);
    ends(&wrong, 1, &["`services.job.memory` is 4096; with 256 CPU units Fargate takes", "cdk synth ended with 1"]);

    // Whoever holds keys for another account is stopped before anything happens.
    super::write_configuration(&project, &CONFIGURATION.replace("123456789012", "210987654321"));
    let other = project.run(&["infra", "apply", "prod", "--with", "cdk", "--yes"]);
    ends(&other, 1, &["the environment `prod` is in 210987654321"]);
}

/// A stack of what is played: a table, and a cluster with a service that begins without tasks where it is new.
const SMALL: &str = r"
import { App, BootstraplessSynthesizer, CfnOutput, Stack } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import { readFileSync } from 'node:fs';
const app = new App();
const fresh = String(app.node.tryGetContext('new') ?? '').split(',');
const env = { region: 'eu-west-1', account: '123456789012' };
const stack = new Stack(app, 'rooted-prod', { synthesizer: new BootstraplessSynthesizer(), env });
const cluster = new ecs.CfnCluster(stack, 'Cluster', { clusterName: 'rooted-prod' });
const definition = new ecs.CfnTaskDefinition(stack, 'Definition', {
  family: 'rooted-prod-api', cpu: '256', memory: '512', networkMode: 'awsvpc', requiresCompatibilities: ['FARGATE'],
  containerDefinitions: [{ name: 'api', image: 'busybox' }],
});
new ecs.CfnService(stack, 'Api', {
  serviceName: 'rooted-prod-api', cluster: cluster.ref, taskDefinition: definition.ref, launchType: 'FARGATE',
  ...(fresh.includes('api') && { desiredCount: 0 }),
  networkConfiguration: { awsvpcConfiguration: { subnets: ['subnet-0123456789abcdef0'] } },
});
new dynamodb.CfnTable(stack, 'Films', {
  tableName: readFileSync('table', 'utf8'), billingMode: 'PAY_PER_REQUEST',
  keySchema: [{ attributeName: 'id', keyType: 'HASH' }], attributeDefinitions: [{ attributeName: 'id', attributeType: 'S' }],
});
new CfnOutput(stack, 'loadBalancer', { value: 'rooted.example.com' });
const api = {
  name: 'rooted-prod-api', execution_role: 'arn:aws:iam::123456789012:role/e', task_role: 'arn:aws:iam::123456789012:role/t',
  security_groups: ['sg-1'], target_group: null, log_group: '/rooted-prod/api', container: 'api',
};
const told = { cluster: cluster.ref, subnets: ['subnet-1'], assign_public_ip: false, deploys_table: 'rooted-prod-deploys', services: { api } };
new CfnOutput(stack, 'streamify', { value: stack.toJsonString(told) });
";

#[test]
fn a_stack_is_made_changed_told_and_taken_down_by_the_real_cdk() {
    let aws = Emulator::start(Player::MiniStack, &[]);
    let project =
        Project::new(&aws.endpoint(), &CONFIGURATION.replace("    variables:\n", "").replace("      ", "    # "));
    let app = project.folder.path().join("infra/cdk");
    fs::create_dir_all(&app).unwrap();
    with_packages(&app);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/cdk/variables.json");
    fs::copy(own, app.join("variables.json")).unwrap();
    fs::write(app.join("package.json"), "{\"type\": \"module\"}").unwrap();
    fs::write(app.join("cdk.json"), "{\"app\": \"node app.mjs\", \"context\": {\"cli-telemetry\": false}}").unwrap();
    fs::write(app.join("app.mjs"), SMALL).unwrap();
    fs::write(app.join("table"), "rooted-films").unwrap();

    let applied = project.run(&["infra", "apply", "prod", "--with", "cdk", "--yes"]);
    ends(&applied, 0, &["they begin without tasks: api", "deploying once more, without the number of tasks"]);
    assert_eq!(desired(&aws), json!(0));
    // Nothing is left to do, and the number is not in the template any more.
    let same = project.run(&["infra", "plan", "prod", "--with", "cdk", "--exit-code"]);
    ends(&same, 0, &["0 resources differ"]);
    assert!(same.out.contains("There were no differences"), "{}", same.out);
    let template = fs::read_to_string(app.join("cdk.out/rooted-prod.template.json")).unwrap();
    assert!(!template.contains("DesiredCount"), "{template}");

    assert_eq!(project.good(&["infra", "outputs", "prod", "load_balancer", "--with", "cdk"]), "rooted.example.com\n");
    let outputs = project.json(&["infra", "outputs", "prod", "--with", "cdk"]);
    assert_eq!(outputs["streamify"]["value"]["services"]["api"]["container"], "api");

    // A deploy takes the file that is left there, and is led to it.
    let file = "infra/cdk/outputs.prod.json";
    let verified = project.run(&["verify", "prod", "--outputs", file]).out;
    assert!(verified.contains("✔ terraform ") && verified.contains(&format!("{file}: api\n")), "{verified}");
    ends(&project.run(&["diff", "prod"]), 2, &["there is no Terraform root", &format!("--outputs {file}")]);

    // Another name is another table: the old one goes with what is in it.
    fs::write(app.join("table"), "rooted-movies").unwrap();
    let apply = ["infra", "apply", "prod", "--with", "cdk", "--yes", "--confirm-destroy", "Films"];
    let refused = project.run(&apply[..6]);
    ends(&refused, 1, &["[~] AWS::DynamoDB::Table Films Films replace", "Films (AWS::DynamoDB::Table Films)"]);
    let applied = project.run(&apply);
    ends(&applied, 0, &[]);
    assert_eq!(applied.out, "✔ prod: deployed\n");

    let destroyed = project.run(&["infra", "destroy", "prod", "--with", "cdk", "--confirm-destroy", "prod"]);
    ends(&destroyed, 0, &["rooted-prod: destroyed"]);
    assert_eq!(ask(&aws)["__type"], "ClusterNotFoundException");
}

fn desired(aws: &Emulator) -> Value {
    ask(aws)["services"][0]["desiredCount"].clone()
}

/// What the played ECS says of the service.
fn ask(aws: &Emulator) -> Value {
    let output = Command::new("curl")
        .args(["-s", &aws.endpoint(), "-H", "Content-Type: application/x-amz-json-1.1"])
        .args(["-H", "X-Amz-Target: AmazonEC2ContainerServiceV20141113.DescribeServices"])
        .args(["-H", "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ecs/aws4_request, SignedHeaders=host, Signature=x"])
        .args(["-d", r#"{"cluster": "rooted-prod", "services": ["rooted-prod-api"]}"#])
        .output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

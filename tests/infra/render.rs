//! Variables from streamify.yaml, checked before Terraform sees them.

use std::fs;

use serde_json::{Value, json};

use super::{ROOT, ends, project, root, write_configuration, write_root};
use crate::aws::Project;

/// The variables that every root of this project declares, with their types.
const CONTRACT: &str = r#"
variable "project" { type = string }
variable "environment" { type = string }
variable "region" { type = string }
variable "account" {
  type    = string
  default = null
}
variable "repositories" { type = set(string) }
variable "secrets" {
  type = object({ store = string, prefix = string, kms_key = optional(string) })
}
variable "services" {
  type = map(object({
    port         = optional(number)
    health_path  = optional(string)
    cpu          = number
    memory       = number
    replicas     = number
    architecture = string
    secrets      = list(string)
  }))
}
variable "deploy" {
  type = object({ strategy = string, minimum_healthy_percent = number, maximum_percent = number })
}
variable "database" {
  type    = object({ instance_class = optional(string, "db.t4g.micro"), multi_az = optional(bool), backup_days = optional(number) })
  default = {}
}
variable "routes" {
  type    = map(list(string))
  default = {}
}
"#;

const CINEMA: &str = "name: cinema
services:
  backend: {port: 3001, health_path: /health/ready, cpu: 512, memory: 1024, secrets: {KEYS: JWT_KEYS, DB: 'db:password'}}
  worker: {architecture: arm64}
environments:
  prod:
    account: '012345678901'
    region: eu-west-1
    secrets: {kms_key: alias/cinema}
    state: {bucket: cinema-state, kms_key: alias/state}
    deploy: {strategy: blue-green, minimum_healthy_percent: 50}
    services: {backend: {replicas: 3}}
    variables:
      database: {multi_az: true, backup_days: 7}
      routes: {backend: ['/api/*', /ws]}
";

fn cinema(configuration: &str) -> Project {
    let project = Project::new(super::NOWHERE, configuration);
    write_root(&project, &format!("terraform {{\n  backend \"s3\" {{}}\n}}\n{CONTRACT}"));
    project
}

fn read(project: &Project, name: &str) -> String {
    fs::read_to_string(root(project).join(name)).unwrap()
}

#[test]
fn everything_that_follows_from_the_file_is_written_typed_and_in_order() {
    let project = cinema(CINEMA);
    let missing = project.run(&["infra", "render", "prod", "--check"]);
    ends(&missing, 3, &["streamify infra render prod"]);
    assert!(!root(&project).join("streamify.auto.tfvars.json").exists());

    project.good(&["infra", "render", "prod"]);
    let text = read(&project, "streamify.auto.tfvars.json");
    insta::assert_snapshot!(text);
    insta::assert_snapshot!(read(&project, "backend.tfbackend.json"));
    project.good(&["infra", "render", "prod", "--check"]);
    // Again and again the same, byte by byte.
    project.good(&["infra", "render", "prod"]);
    assert_eq!(read(&project, "streamify.auto.tfvars.json"), text);

    let told = project.json(&["infra", "render", "prod"]);
    assert_eq!(told["variables"], serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(told["backend"]["use_lockfile"], json!(true));
    assert_eq!(told["current"], json!(true));

    write_configuration(
        &project,
        &CINEMA
            .replace("replicas: 3", "replicas: 4")
            .replace("    state: {bucket: cinema-state, kms_key: alias/state}\n", ""),
    );
    let old = project.run(&["infra", "render", "prod", "--check"]);
    ends(&old, 3, &[]);
    assert!(old.out.contains("~ services.backend.replicas: 3 → 4"), "{}", old.out);
    assert!(old.out.contains("backend.tfbackend.json is not needed any more"), "{}", old.out);
    project.good(&["infra", "render", "prod"]);
    assert!(!root(&project).join("backend.tfbackend.json").exists());
}

#[test]
fn what_does_not_fit_is_named_with_line_and_column() {
    let project = cinema(CINEMA);
    let with = |variables: &str| {
        let start = CINEMA.split("    variables:").next().unwrap();
        write_configuration(&project, &format!("{start}    variables:\n      {variables}\n"));
        project.run(&["infra", "render", "prod"])
    };
    ends(
        &with("databse: {multi_az: true}"),
        2,
        &["streamify.yaml:14:16: the root declares no variable `databse`", "Did you mean `database`?"],
    );
    ends(
        &with("database: {multi_az: 'yes'}"),
        2,
        &[
            "streamify.yaml:14:28: `database.multi_az` does not fit",
            "true or false is wanted, and it is a text",
            "main.tf:30:1",
            "without quotes",
        ],
    );
    ends(&with("database: {backup_dys: 1}"), 2, &["no attribute `backup_dys`", "Did you mean `backup_days`?"]);
    ends(&with("routes: {backend: /ws}"), 2, &["`routes.backend`", "Write a list"]);
    ends(&with("region: eu-north-1"), 2, &["`region` follows from the rest of streamify.yaml"]);
    let both = with("databse: 1\n      routes: 2");
    ends(&both, 2, &["2 variables of prod don't fit", "`databse`", "`routes`"]);
    assert!(!root(&project).join("streamify.auto.tfvars.json").exists());

    write_configuration(&project, &CINEMA.replace("    region: eu-west-1\n", ""));
    ends(
        &project.run(&["infra", "render", "prod"]),
        2,
        &["main.tf:7:1: nothing sets the variable `region`", "Set environments.prod.region"],
    );
    write_configuration(&project, CINEMA);
    write_root(
        &project,
        &format!("terraform {{\n  backend \"s3\" {{}}\n}}\n{}", CONTRACT.replace("set(string)", "map(string)")),
    );
    ends(&project.run(&["infra", "render", "prod"]), 2, &["`repositories`, which streamify.yaml gives,", "a map"]);
    write_root(&project, "variable \"project\" {\n  type = strng\n}\n");
    ends(
        &project.run(&["infra", "render", "prod"]),
        2,
        &["terraform/environments/prod/main.tf:2:10: the type of the variable `project`", "`strng`"],
    );
    write_root(&project, "variable \"project\" {\n  type = string\n");
    ends(&project.run(&["infra", "render", "prod"]), 2, &["terraform/environments/prod/main.tf:", "no valid HCL"]);
    write_root(&project, CONTRACT);
    ends(
        &project.run(&["infra", "render", "prod"]),
        2,
        &["keeps the state of prod in S3, and its root does not", "backend \"s3\" {}"],
    );
    ends(&project.run(&["infra", "render", "prdo"]), 2, &["there is no environment `prdo`"]);
    ends(&project.run(&["infra", "render", "local"]), 2, &["runs on Docker"]);
}

#[test]
fn a_secret_is_never_written() {
    let mut project = project("      size: 2\n", ROOT);
    project.variable("JWT_KEYS", Some("first:topsecretvalue"));
    for variables in [
        "      token: topsecretother",
        "      size: postgres://u:topsecretpass@h/d",
        "      size: 'see first:topsecretvalue'",
        "      size: {api_key: topsecretkey}",
    ] {
        write_configuration(&project, &super::configuration(variables));
        for arguments in [
            &["infra", "render", "prod"][..],
            &["infra", "render", "prod", "--output", "json"],
            &["infra", "plan", "prod"],
        ] {
            let ran = project.run(arguments);
            ends(&ran, 2, &["is a secret, and secrets are not written to files"]);
        }
    }
    assert!(!root(&project).join("streamify.auto.tfvars.json").exists());
    project.never_printed(&["topsecret"]);
}

#[test]
fn a_required_value_may_come_from_the_process_or_another_file() {
    let mut project = project("      size: 2\n", &format!("{ROOT}variable \"needed\" {{ type = string }}\n"));
    ends(
        &project.run(&["infra", "render", "prod"]),
        2,
        &["nothing sets the variable `needed`", "environments.prod.variables.needed"],
    );
    project.variable("TF_VAR_needed", Some("x"));
    project.good(&["infra", "render", "prod"]);
    project.variable("TF_VAR_needed", None);
    fs::write(root(&project).join("own.auto.tfvars"), "needed = \"x\"\n").unwrap();
    project.good(&["infra", "render", "prod"]);
}

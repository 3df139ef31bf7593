//! The real AWS provider on AWS as moto plays it: a bucket and a table, with the state in S3 and its lock beside it.

use std::path::Path;
use std::process::Command;

use super::{ends, root};
use crate::aws::Project;
use crate::support::aws::{Emulator, Player};

const CONFIGURATION: &str = "name: cinema
services: {}
environments:
  prod:
    region: eu-west-1
    state: {bucket: cinema-state}
    variables: {bucket: cinema-uploads}
";

const ROOT: &str = r#"
terraform {
  backend "s3" {
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
  }
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.47"
    }
  }
}
provider "aws" {
  region                      = var.region
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
  max_retries                 = 3
}
variable "region" { type = string }
variable "bucket" { type = string }
resource "aws_s3_bucket" "uploads" {
  bucket        = var.bucket
  force_destroy = true
}
resource "aws_dynamodb_table" "deploys" {
  name         = "cinema-deploys"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  attribute {
    name = "id"
    type = "S"
  }
}
output "table" { value = aws_dynamodb_table.deploys.name }
"#;

/// The provider is built once and kept; the first run of it takes minutes.
pub fn provider() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/terraform-provider.sh");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn put(endpoint: &str, path: &str) {
    let ok = Command::new("curl")
        .args(["-sf", "-X", "PUT", &format!("{endpoint}/{path}")])
        .args(["-H", "Host: s3.amazonaws.com"])
        .status();
    assert!(ok.unwrap().success());
}

#[test]
fn what_holds_data_is_destroyed_only_by_its_name() {
    let moto = Emulator::start(Player::Moto, &[]);
    let mut project = Project::new(&moto.endpoint(), CONFIGURATION);
    project.variable("TF_CLI_CONFIG_FILE", Some(&provider()));
    super::write_root(&project, ROOT);
    super::write_configuration(&project, &CONFIGURATION.replace("    state: {bucket: cinema-state}\n", ""));
    ends(&project.run(&["infra", "plan", "prod"]), 1, &["environments.prod.state: { bucket: NAME }"]);
    super::write_configuration(&project, CONFIGURATION);
    let early = project.run(&["infra", "plan", "prod"]);
    ends(&early, 1, &["init prod", "cinema-state"]);
    put(&moto.endpoint(), "cinema-state");

    project.good(&["infra", "plan", "prod"]);
    let applied = project.run(&["infra", "apply", "prod"]);
    ends(&applied, 0, &["aws_s3_bucket.uploads: created", "aws_dynamodb_table.deploys: created"]);
    assert!(!root(&project).join("terraform.tfstate").exists());
    assert_eq!(project.run(&["infra", "plan", "prod", "--exit-code"]).code, 0);
    assert_eq!(project.run(&["infra", "drift", "prod", "--exit-code"]).code, 0);
    assert_eq!(project.good(&["infra", "outputs", "prod", "table"]), "cinema-deploys\n");

    // Another name is another bucket: the old one goes with what is in it.
    super::write_configuration(&project, &CONFIGURATION.replace("cinema-uploads", "cinema-media"));
    let plan = project.run(&["infra", "plan", "prod"]);
    ends(&plan, 0, &["Data would be lost"]);
    assert!(
        plan.out.contains(
            "± replace aws_s3_bucket.uploads: bucket can't be changed in place; the data of cinema-uploads is lost"
        ),
        "{}",
        plan.out
    );
    for arguments in [
        &["infra", "apply", "prod"][..],
        &["infra", "apply", "prod", "--yes"],
        &["infra", "apply", "prod", "--yes", "--confirm-destroy", "cinema"],
    ] {
        ends(
            &project.run(arguments),
            1,
            &["cinema-uploads (aws_s3_bucket.uploads)", "--confirm-destroy cinema-uploads"],
        );
    }
    project.good(&["infra", "apply", "prod", "--confirm-destroy", "cinema-uploads"]);

    // What somebody takes away by hand is drift, and no plan of ours.
    let bucket = format!("{}/cinema-media", moto.endpoint());
    assert!(Command::new("curl").args(["-sf", "-X", "DELETE", &bucket]).status().unwrap().success());
    let drift = project.run(&["infra", "drift", "prod", "--exit-code"]);
    ends(&drift, 3, &[]);
    assert!(drift.out.contains("- destroy aws_s3_bucket.uploads"), "{}", drift.out);
    put(&moto.endpoint(), "cinema-media");

    // A lock that a killed run has left in S3 is named, and taken away.
    let lock = r#"{"ID":"4f9c2b1e-0000-4000-8000-000000000001","Operation":"OperationTypeApply","Info":"","Who":"anna@laptop","Version":"1.11.4","Created":"2026-01-02T03:04:05Z","Path":"cinema-state/cinema/prod/terraform.tfstate"}"#;
    let path = format!("{}/cinema-state/cinema/prod/terraform.tfstate.tflock", moto.endpoint());
    let left = Command::new("curl")
        .args(["-sf", "-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", lock, &path])
        .args(["-H", "Host: s3.amazonaws.com"])
        .status();
    assert!(left.unwrap().success());
    let id = "4f9c2b1e-0000-4000-8000-000000000001";
    ends(
        &project.run(&["infra", "plan", "prod"]),
        1,
        &[
            "is locked by anna@laptop, apply, since 2026-01-02 03:04:05 UTC",
            &format!("streamify infra unlock prod {id}"),
        ],
    );
    project.good(&["infra", "unlock", "prod", id, "--yes"]);

    let names = ["--confirm-destroy", "cinema-media", "--confirm-destroy", "cinema-deploys"];
    ends(&project.run(&["infra", "destroy", "prod", "--yes"]), 1, &["the data of 2 resources of prod would be lost"]);
    let destroyed = project.run(&[&["infra", "destroy", "prod", "--yes"][..], &names].concat());
    ends(&destroyed, 0, &["aws_s3_bucket.uploads: destroyed"]);
    assert_eq!(project.good(&["infra", "destroy", "prod"]), "✔ prod: nothing to do\n");
}

#[test]
fn what_is_out_of_reach_has_its_own_code() {
    let mut project =
        Project::new("http://127.0.0.1:9", &CONFIGURATION.replace("    state: {bucket: cinema-state}\n", ""));
    project.variable("TF_CLI_CONFIG_FILE", Some(&provider()));
    project.variable("AWS_MAX_ATTEMPTS", Some("1"));
    let local =
        ROOT.lines().filter(|line| !line.trim_start().starts_with("use_path_style")).collect::<Vec<_>>().join("\n");
    let start = local.find("  backend \"s3\" {").unwrap();
    let end = start + local[start..].find("  }\n").unwrap() + 4;
    super::write_root(&project, &format!("{}{}", &local[..start], &local[end..]));
    let ran = project.run(&["infra", "apply", "prod", "--yes"]);
    ends(&ran, 4, &["can't be reached", "connection refused"]);
}

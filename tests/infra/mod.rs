//! `streamify infra` with the real Terraform: roots of `terraform_data`, which needs no provider, and one of real AWS
//! resources in AWS as it is played here.

mod apply;
mod aws;
mod broken;
mod cdk;
mod demo;
mod look;
mod names;
mod plan;
mod render;
mod tofu;

use std::fs;
use std::path::PathBuf;

use crate::aws::{Project, Ran};

/// Nothing of AWS is asked by these roots.
const NOWHERE: &str = "http://127.0.0.1:9";

/// What streamify.yaml says, with room for an environment's variables.
pub fn configuration(variables: &str) -> String {
    format!(
        "name: rooted\nservices:\n  api: {{port: 3001, cpu: 512, memory: 1024, secrets: {{JWT_KEYS: JWT_KEYS}}}}\n\
         environments:\n  prod:\n    region: eu-west-1\n    variables:\n{variables}"
    )
}

/// A root that depends on its variables alone.
pub const ROOT: &str = r#"
variable "project" { type = string }
variable "environment" { type = string }
variable "size" {
  type    = number
  default = 1
}
variable "token" {
  type      = string
  sensitive = true
  default   = "hunter22hunter"
}
resource "terraform_data" "first" {
  input = { name = "${var.project}-${var.environment}", size = var.size, token = var.token }
}
resource "terraform_data" "second" {
  input            = terraform_data.first.output
  triggers_replace = [var.size]
}
output "name" { value = terraform_data.first.output.name }
output "token" {
  value     = var.token
  sensitive = true
}
"#;

/// A project with a root for `prod`.
pub fn project(variables: &str, root: &str) -> Project {
    let project = Project::new(NOWHERE, &configuration(variables));
    write_root(&project, root);
    project
}

pub fn root(project: &Project) -> PathBuf {
    project.folder.path().join("terraform/environments/prod")
}

pub fn write_root(project: &Project, text: &str) {
    fs::create_dir_all(root(project)).unwrap();
    fs::write(root(project).join("main.tf"), text).unwrap();
}

pub fn write_configuration(project: &Project, text: &str) {
    fs::write(project.folder.path().join("streamify.yaml"), text).unwrap();
}

/// Ends with this code and says these words on standard error.
pub fn ends(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    for word in words {
        assert!(ran.err.contains(word), "no {word:?} in {}{}", ran.out, ran.err);
    }
}

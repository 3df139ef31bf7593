//! The same with `OpenTofu`, Terraform's open fork.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::aws::provider;
use super::names::with_true_roots;
use super::{NOWHERE, ROOT, configuration, ends, project, root, write_configuration, write_root};
use crate::aws::Project;

/// `OpenTofu` is built once and kept; the first run of it takes minutes.
fn tofu() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/opentofu.sh");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn opentofu_renders_plans_applies_and_destroys_as_terraform_does() {
    let mut project = project("      size: 2\n", ROOT);
    project.variable("STREAMIFY_TERRAFORM", Some(&tofu()));
    // It warns of this on standard output, before its JSON.
    project.variable("TF_CLI_CONFIG_FILE", Some("/nonexistent/tofurc"));
    project.good(&["infra", "render", "prod"]);
    assert_eq!(project.good(&["infra", "validate"]), "✔ prod is valid: terraform/environments/prod\n");
    let plan = project.run(&["infra", "plan", "prod", "--exit-code"]);
    ends(&plan, 3, &["streamify infra apply prod"]);
    assert!(plan.out.contains("+ create terraform_data.first"), "{}", plan.out);
    let applied = project.run(&["infra", "apply", "prod"]);
    ends(&applied, 0, &["terraform_data.first: created", "terraform_data.second: created"]);
    assert!(applied.out.starts_with("✔ prod is applied: 2 resources in"), "{}", applied.out);
    ends(&project.run(&["infra", "plan", "prod", "--exit-code"]), 0, &[]);
    ends(&project.run(&["infra", "drift", "prod", "--exit-code"]), 0, &[]);
    assert_eq!(project.good(&["infra", "outputs", "prod", "name"]), "rooted-prod\n");

    write_configuration(&project, &configuration("      size: 3\n"));
    let changed = project.json(&["infra", "plan", "prod"]);
    assert_eq!(changed["changes"][0]["action"], "replace", "{changed}");
    assert_eq!(changed["changes"][0]["address"], "terraform_data.second", "{changed}");

    // A plan of the one program is none of the other's.
    project.variable("STREAMIFY_TERRAFORM", Some("terraform"));
    project.variable("TF_CLI_CONFIG_FILE", None);
    let other = project.run(&["infra", "apply", "prod"]);
    ends(&other, 1, &["The kept plan is not used: another version of Terraform made it"]);

    project.variable("STREAMIFY_TERRAFORM", Some(&tofu()));
    let destroyed = project.json(&["infra", "destroy", "prod", "--yes"]);
    assert_eq!(destroyed["done"].as_array().unwrap().len(), 2, "{destroyed}");
    assert_eq!(project.good(&["infra", "destroy", "prod"]), "✔ prod: nothing to do\n");
    let state = fs::read_to_string(root(&project).join("terraform.tfstate")).unwrap();
    assert!(state.contains("\"resources\""), "{state}");

    write_root(
        &project,
        &format!("{ROOT}resource \"terraform_data\" \"third\" {{\n  input = terraform_data.frist.id\n}}\n"),
    );
    let bad = project.run(&["infra", "validate", "prod"]);
    ends(&bad, 1, &["1 error,"]);
    assert!(bad.out.contains("terraform/environments/prod/main.tf:"), "{}", bad.out);
    project.never_printed(&["hunter22"]);
}

/// The provider's own build, where `OpenTofu` looks for it: its registry has another name.
fn provider_for_tofu(folder: &Path) -> String {
    let built = Path::new(&provider()).with_file_name("mirror/registry.terraform.io/hashicorp/aws");
    let version = fs::read_dir(&built).unwrap().next().unwrap().unwrap().file_name();
    let mirror = folder.join("mirror");
    let there = mirror.join("registry.opentofu.org/hashicorp/aws").join(&version);
    fs::create_dir_all(&there).unwrap();
    symlink(built.join(&version).join("linux_amd64"), there.join("linux_amd64")).unwrap();
    let file = folder.join("tofurc");
    fs::write(
        &file,
        format!("provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n", mirror.display()),
    )
    .unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn opentofu_takes_the_true_roots() {
    let configuration = "name: cinema\nservices:\n  backend: {port: 3001, secrets: {KEYS: JWT_KEYS}}\n\
                         environments:\n  prod: {region: eu-west-1}\n  staging: {region: eu-west-1}\n";
    let mut project = Project::new(NOWHERE, configuration);
    with_true_roots(&project, &["prod", "staging"]);
    let configuration = provider_for_tofu(project.folder.path());
    project.variable("STREAMIFY_TERRAFORM", Some(&tofu()));
    project.variable("TF_CLI_CONFIG_FILE", Some(&configuration));
    for environment in ["prod", "staging"] {
        project.good(&["infra", "render", environment]);
        let valid = project.good(&["infra", "validate", environment]);
        assert_eq!(valid, format!("✔ {environment} is valid: terraform/environments/{environment}\n"));
    }
}

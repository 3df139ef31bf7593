//! Plans: what they say, what they hide, and what a pipeline gets of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::{ROOT, configuration, ends, project, root, write_configuration, write_root};

/// Without what is another one in each run.
fn stable(text: &str) -> String {
    regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap().replace_all(text, "ID").into_owned()
}

#[test]
fn a_plan_says_what_changes_and_why_and_hides_what_is_sensitive() {
    let mut project = project("      size: 2\n", ROOT);
    let first = project.run(&["infra", "plan", "prod", "--exit-code"]);
    ends(&first, 3, &["wrote terraform/environments/prod/streamify.auto.tfvars.json", "streamify infra apply prod"]);
    insta::assert_snapshot!(first.out);

    let kept = project.folder.path().join(".streamify/infra/prod");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(kept.join("plan")).unwrap().permissions().mode() & 0o777, 0o600);
    // Nothing of the run is left behind.
    let mut left: Vec<String> =
        fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["initialised", "plan", "plan.json"]);

    project.good(&["infra", "apply", "prod"]);
    ends(&project.run(&["infra", "plan", "prod", "--exit-code"]), 0, &[]);

    let github = project.folder.path().join("github");
    project.variable("GITHUB_OUTPUT", Some(github.with_extension("output").to_str().unwrap()));
    project.variable("GITHUB_STEP_SUMMARY", Some(github.with_extension("summary").to_str().unwrap()));
    write_configuration(&project, &configuration("      size: 3\n"));
    let changed = project.run(&["infra", "plan", "prod"]);
    ends(&changed, 0, &[]);
    insta::assert_snapshot!(stable(&changed.out));
    insta::assert_snapshot!(stable(&fs::read_to_string(github.with_extension("summary")).unwrap()));
    let output = fs::read_to_string(github.with_extension("output")).unwrap();
    assert!(
        output.contains("changed=true\n") && output.contains("replace=1\n") && output.contains("destroy=0\n"),
        "{output}"
    );

    let data = project.json(&["infra", "plan", "prod"]);
    assert_eq!(data["changes"][0]["action"], "replace");
    assert_eq!(data["changes"][0]["address"], "terraform_data.second");
    let coloured = project.run(&["infra", "plan", "prod", "--colour", "always"]);
    assert!(coloured.out.contains("\u{1b}[1m\u{1b}[31m  ± replace terraform_data.second"), "{:?}", coloured.out);

    // What is no longer configured is destroyed, and said so first.
    write_root(&project, &ROOT.replace("resource \"terraform_data\" \"second\" {\n  input            = terraform_data.first.output\n  triggers_replace = [var.size]\n}\n", ""));
    let gone = project.run(&["infra", "plan", "prod"]);
    assert!(gone.out.contains("- destroy terraform_data.second: it is no longer in the configuration"), "{}", gone.out);
    project.never_printed(&["hunter22"]);
    let summary = fs::read_to_string(github.with_extension("summary")).unwrap();
    assert!(!summary.contains("hunter22"), "{summary}");
}

#[test]
fn only_a_target_is_planned_where_one_is_named() {
    let project = project("      size: 2\n", ROOT);
    let plan = project.json(&["infra", "plan", "prod", "--target", "terraform_data.first"]);
    assert_eq!(plan["changes"].as_array().unwrap().len(), 1, "{plan}");
}

#[test]
fn validation_shows_file_line_and_code() {
    let project = project("      size: 2\n", ROOT);
    ends(
        &project.run(&["infra", "validate", "prod"]),
        1,
        &["0 errors, 1 file out of date", "streamify infra render prod"],
    );
    project.good(&["infra", "render", "prod"]);
    let good = project.good(&["infra", "validate"]);
    assert_eq!(good, "✔ prod is valid: terraform/environments/prod\n");

    write_root(
        &project,
        &format!("{ROOT}resource \"terraform_data\" \"third\" {{\n  input = terraform_data.frist.id\n}}\n"),
    );
    let bad = project.run(&["infra", "validate", "prod"]);
    ends(&bad, 1, &["1 error,"]);
    assert!(bad.out.contains("terraform/environments/prod/main.tf:"), "{}", bad.out);
    assert!(bad.out.contains("| "), "{}", bad.out);
    assert!(bad.out.contains("input = terraform_data.frist.id"), "{}", bad.out);
    let told: serde_json::Value =
        serde_json::from_str(&project.run(&["infra", "validate", "prod", "--output", "json"]).out).unwrap();
    assert_eq!(told[0]["valid"], json!(false));
    assert_eq!(told[0]["diagnostics"][0]["severity"], "error");
    // It reads no state and made none.
    assert!(!root(&project).join("terraform.tfstate").exists());
}

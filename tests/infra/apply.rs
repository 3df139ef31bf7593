//! Applying: the kept plan while it is fresh, progress, destroying, and what was cut short.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{ROOT, configuration, ends, project, root, write_configuration, write_root};
use crate::aws::Project;
use crate::support::process::within;

#[test]
fn the_kept_plan_is_applied_while_it_is_fresh_and_another_is_asked_about() {
    let project = project("      size: 2\n", ROOT);
    project.good(&["infra", "plan", "prod"]);
    let applied = project.run(&["infra", "apply", "prod"]);
    ends(
        &applied,
        0,
        &["terraform_data.first: creating", "terraform_data.first: created", "terraform_data.second: created"],
    );
    assert!(applied.out.starts_with("✔ prod is applied: 2 resources in"), "{}", applied.out);
    // Used up.
    assert!(!project.folder.path().join(".streamify/infra/prod/plan").exists());
    let nothing = project.run(&["infra", "apply", "prod"]);
    ends(&nothing, 0, &[]);
    assert_eq!(nothing.out, "✔ prod: nothing to do\n");

    // Without a kept plan, and after a change of what it was made of, somebody has to say yes.
    write_configuration(&project, &configuration("      size: 3\n"));
    ends(&project.run(&["infra", "apply", "prod"]), 1, &["Apply this in prod?", "--yes"]);
    project.good(&["infra", "plan", "prod"]);
    write_configuration(&project, &configuration("      size: 4\n"));
    ends(
        &project.run(&["infra", "apply", "prod"]),
        1,
        &["The kept plan is not used: the configuration or its variables have changed since", "Apply this"],
    );
    project.good(&["infra", "apply", "prod", "--yes"]);

    // Somebody else applied meanwhile: the state is another one.
    write_configuration(&project, &configuration("      size: 5\n"));
    project.good(&["infra", "plan", "prod"]);
    let terraform = Command::new("terraform")
        .args(["apply", "-auto-approve", "-input=false", "-var=token=other"])
        .current_dir(root(&project))
        .output()
        .unwrap();
    assert!(terraform.status.success(), "{}", String::from_utf8_lossy(&terraform.stderr));
    ends(&project.run(&["infra", "apply", "prod"]), 1, &["The kept plan is not used: the state has changed since"]);

    // A plan to destroy is not applied by `apply`.
    project.good(&["infra", "plan", "prod", "--destroy"]);
    ends(&project.run(&["infra", "apply", "prod"]), 1, &["is one for `streamify infra destroy prod`"]);
    let json = project.json(&["infra", "destroy", "prod", "--yes"]);
    assert_eq!(json["done"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(project.good(&["infra", "destroy", "prod"]), "✔ prod: nothing to do\n");
    project.never_printed(&["hunter22"]);
}

#[test]
fn what_fails_is_named_and_the_next_apply_goes_on() {
    let root = format!(
        "{ROOT}resource \"terraform_data\" \"third\" {{\n  depends_on = [terraform_data.second]\n  input = 1\n  provisioner \"local-exec\" {{\n    \
         command = \"test -e go\"\n  }}\n}}\n"
    );
    let project = project("      size: 2\n", &root);
    let failed = project.run(&["infra", "apply", "prod", "--yes"]);
    ends(
        &failed,
        1,
        &[
            "terraform_data.third: failed:",
            "local-exec provisioner error",
            "`streamify infra apply prod` again goes on",
            "main.tf:",
        ],
    );
    std::fs::write(super::root(&project).join("go"), "").unwrap();
    let again = project.run(&["infra", "apply", "prod", "--yes"]);
    ends(
        &again,
        0,
        &["± replace terraform_data.third: its last creation failed halfway", "terraform_data.third: created"],
    );
    assert!(again.out.contains("1 resource in"), "{}", again.out);
}

/// A root whose second resource takes its time, and whose third comes after it.
fn slow(seconds: u32) -> String {
    format!(
        "{ROOT}resource \"terraform_data\" \"slow\" {{\n  input = 1\n  provisioner \"local-exec\" {{\n    command = \"touch began; sleep {seconds}; touch ended\"\n  }}\n}}\n\
         resource \"terraform_data\" \"after\" {{\n  input = terraform_data.slow.output\n}}\n"
    )
}

fn begin(project: &Project) -> Child {
    let child = project
        .command(&["infra", "apply", "prod", "--yes"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    within(Duration::from_secs(60), "the slow resource begins", || root(project).join("began").exists());
    child.unwrap()
}

#[test]
fn an_interrupt_is_passed_on_once_and_the_state_is_saved() {
    let project = project("      size: 2\n", &slow(3));
    let child = begin(&project);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let ran = crate::aws::Ran::from(child.wait_with_output().unwrap());
    ends(&ran, 130, &["Terraform was told to stop", "saved its state", "`streamify infra apply prod` again goes on"]);
    // What was in flight is in the state, and so is what came before.
    let state = std::fs::read_to_string(root(&project).join("terraform.tfstate")).unwrap();
    assert!(state.contains("\"first\"") && state.contains("\"slow\""), "{state}");
    let again = project.run(&["infra", "apply", "prod", "--yes"]);
    ends(&again, 0, &["terraform_data.after: created"]);
    assert_eq!(project.run(&["infra", "plan", "prod", "--exit-code"]).code, 0);
}

#[test]
fn a_killed_tool_leaves_terraform_to_finish_and_the_next_run_names_the_lock() {
    let project = project("      size: 2\n", &slow(4));
    let mut child = begin(&project);
    child.kill().unwrap();
    child.wait().unwrap();
    // Terraform works on; meanwhile the state is its own.
    let locked = project.run(&["infra", "apply", "prod", "--yes"]);
    ends(
        &locked,
        1,
        &["the state of prod is locked by", ", apply, since 20", "--wait", "streamify infra unlock prod "],
    );
    // Waiting for it is enough: it has made everything.
    let waited = project.run(&["infra", "apply", "prod", "--yes", "--wait", "1"]);
    ends(&waited, 0, &[]);
    assert_eq!(waited.out, "✔ prod: nothing to do\n", "{}", waited.err);
    assert!(root(&project).join("ended").exists());
}

#[test]
fn a_lock_of_a_run_that_is_dead_is_taken_away_by_its_id() {
    let project = project("      size: 2\n", ROOT);
    project.good(&["infra", "apply", "prod", "--yes"]);
    ends(&project.run(&["infra", "unlock", "prod", "0-0-0"]), 1, &["Nobody can be asked here"]);
    // A local state has no lock that outlives its process; Terraform's own words are passed on.
    let refused = project.run(&["infra", "unlock", "prod", "0-0-0", "--yes"]);
    ends(&refused, 1, &["unlock prod"]);
}

#[test]
fn a_missing_or_old_program_is_said_with_how_to_get_one() {
    use std::os::unix::fs::PermissionsExt;
    let mut project = project("      size: 2\n", ROOT);
    let folder = project.folder.path().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    project.variable("PATH", Some(folder.to_str().unwrap()));
    ends(&project.run(&["infra", "plan", "prod"]), 4, &["neither terraform nor tofu", "opentofu", "--terraform PATH"]);
    let old = folder.join("tofu");
    std::fs::write(&old, "#!/bin/sh\necho '{\"terraform_version\":\"1.8.2\"}'\n").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    ends(&project.run(&["infra", "plan", "prod"]), 4, &["is 1.8.2, which is too old", "1.10 or newer"]);
    // Nothing was written before the program was found.
    assert!(!root(&project).join("streamify.auto.tfvars.json").exists());
    project.variable("STREAMIFY_TERRAFORM", Some("/nowhere/terraform"));
    ends(&project.run(&["infra", "plan", "prod"]), 4, &["there is no program /nowhere/terraform"]);
    write_root(&project, ROOT);
}

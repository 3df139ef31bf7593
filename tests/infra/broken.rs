//! Broken surroundings: a root that is not there, a state that is no state, CDK without its packages.

use std::fs;

use super::{NOWHERE, ROOT, configuration, ends, project, root};
use crate::aws::Project;

#[test]
fn a_missing_root_says_where_it_is_looked_for() {
    let project = Project::new(NOWHERE, &configuration("      size: 1\n"));
    for command in ["render", "plan", "outputs", "drift"] {
        ends(
            &project.run(&["infra", command, "prod"]),
            2,
            &["there is no Terraform root for the environment `prod`", "environments.prod.terraform"],
        );
    }
    ends(&project.run(&["infra", "validate"]), 2, &["no environment of streamify.yaml has a Terraform root"]);
    fs::create_dir_all(root(&project)).unwrap();
    ends(&project.run(&["infra", "plan", "prod"]), 2, &["has no Terraform files"]);
}

#[test]
fn a_state_that_is_none_is_left_alone() {
    let project = project("      size: 2\n", ROOT);
    fs::write(root(&project).join("terraform.tfstate"), "not a state").unwrap();
    let ran = project.run(&["infra", "apply", "prod", "--yes"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(fs::read_to_string(root(&project).join("terraform.tfstate")).unwrap(), "not a state");
}

#[test]
fn a_kept_plan_that_is_broken_is_made_anew() {
    let project = project("      size: 2\n", ROOT);
    project.good(&["infra", "plan", "prod"]);
    fs::write(project.folder.path().join(".streamify/infra/prod/plan.json"), "{").unwrap();
    ends(&project.run(&["infra", "apply", "prod"]), 1, &["Apply this in prod?"]);
    project.good(&["infra", "apply", "prod", "--yes"]);
}

#[test]
fn cdk_reads_the_same_data_and_says_what_it_lacks() {
    let project = project("      size: 2\n", ROOT);
    ends(&project.run(&["infra", "validate", "prod", "--with", "cdk"]), 2, &["there is no CDK app in infra/cdk"]);
    let app = project.folder.path().join("infra/cdk");
    fs::create_dir_all(&app).unwrap();
    fs::write(app.join("package.json"), "{}").unwrap();
    for command in ["validate", "plan", "apply"] {
        ends(
            &project.run(&["infra", command, "prod", "--with", "cdk", "--yes"]),
            4,
            &["the packages of infra/cdk are not installed", "npm ci --prefix infra/cdk"],
        );
    }
    ends(&project.run(&["infra", "destroy", "prod", "--with", "cdk", "--yes"]), 1, &["--confirm-destroy prod"]);
    ends(&project.run(&["infra", "outputs", "prod", "--with", "cdk"]), 1, &["infra apply prod --with cdk"]);

    project.good(&["infra", "render", "prod", "--with", "cdk"]);
    let data: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(app.join("streamify.prod.json")).unwrap()).unwrap();
    assert_eq!((&data["size"], &data["services"]["api"]["cpu"]), (&2.into(), &512.into()));
    project.good(&["infra", "render", "prod", "--with", "cdk", "--check"]);

    // `npx` and CDK themselves are stood in for by a program that notes how it was called.
    let bin = project.folder.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(app.join("node_modules")).unwrap();
    let program = bin.join("npx");
    fs::write(&program, "#!/bin/sh\necho \"$@\" >>called\ncase $3 in diff) printf 'Stack x\\nResources\\n[-] AWS::S3::Bucket Uploads Uploads1 destroy\\n\\nNumber of stacks with differences: 1\\n'; exit 1;; deploy) echo '{\"rooted-prod\":{\"address\":\"http://x\"}}' >outputs.prod.json;; esac\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = |arguments: &[&str]| {
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        crate::aws::Ran::from(project.command(arguments).env("PATH", path).output().unwrap())
    };
    ends(&run(&["infra", "plan", "prod", "--with", "cdk", "--exit-code"]), 3, &[]);
    let plan = run(&["infra", "plan", "prod", "--with", "cdk"]);
    ends(&plan, 0, &["Data would be lost", "streamify infra apply prod --with cdk"]);
    assert_eq!(plan.out, "Stack x\nResources\n[-] AWS::S3::Bucket Uploads Uploads1 destroy\n");
    ends(&run(&["infra", "plan", "prod", "--with", "cdk", "--destroy"]), 2, &["--destroy is not for --with cdk"]);
    ends(&run(&["infra", "apply", "prod", "--with", "cdk", "--yes", "--target", "x"]), 2, &["--target is not for"]);
    ends(&run(&["infra", "validate", "prod", "--with", "cdk"]), 0, &[]);
    let sure = ["infra", "apply", "prod", "--with", "cdk", "--yes", "--confirm-destroy", "Uploads"];
    ends(&run(&sure[..5]), 1, &["--confirm-destroy Uploads"]);
    ends(&run(&sure[..6]), 1, &["the data of 1 resource of prod would be lost", "Uploads (AWS::S3::Bucket Uploads)"]);
    ends(&run(&[&sure[..5], &sure[6..]].concat()), 1, &["Deploy this to prod?"]);
    ends(&run(&sure), 0, &[]);
    assert_eq!(run(&["infra", "outputs", "prod", "address", "--with", "cdk"]).out, "http://x\n");
    ends(&run(&["infra", "destroy", "prod", "--with", "cdk", "--confirm-destroy", "prod"]), 0, &[]);
    let called = fs::read_to_string(app.join("called")).unwrap();
    assert!(
        called.contains("--no-install cdk diff --no-notices -c environment=prod --fail --output cdk.out\n"),
        "{called}"
    );
    assert!(called.ends_with("cdk destroy --no-notices -c environment=prod --all --force\n"), "{called}");
}

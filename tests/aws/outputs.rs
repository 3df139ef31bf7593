//! Terraform's outputs, from a real root: one of outputs alone needs no provider.

use std::fs;
use std::process::Command;

use super::Project;
use crate::support::aws::ministack;

const CONFIGURATION: &str = "name: rooted\nservices: {backend: {secrets: {TOKEN: TOKEN}}}\n\
                             environments: {prod: {region: eu-west-1}}\n";

const ROOT: &str = r#"
output "streamify" {
  value = {
    cluster          = "rooted"
    subnets          = ["subnet-1"]
    assign_public_ip = false
    deploys_table    = "deploys"
    secrets          = { TOKEN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-a1b2c3" }
    services = {
      backend = {
        name            = "rooted-backend"
        execution_role  = "arn:aws:iam::123456789012:role/execution"
        task_role       = "arn:aws:iam::123456789012:role/task"
        security_groups = ["sg-1"]
        target_group    = null
        log_group       = "/rooted/backend"
      }
    }
  }
}
"#;

#[test]
fn outputs_are_read_from_the_environments_root() {
    let project = Project::new(&ministack().endpoint(), CONFIGURATION);
    let root = project.folder.path().join("terraform/environments/prod");
    let terraform = |arguments: &[&str]| {
        let done = Command::new("terraform").args(arguments).current_dir(&root).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let line = |name: &str| {
        let ran = project.run(&["verify", "prod"]);
        let line = ran.out.lines().find(|line| line.contains(name)).map(ToOwned::to_owned);
        line.unwrap_or_else(|| panic!("no {name} in {}{}", ran.out, ran.err))
    };
    assert!(line("terraform").contains("there is no Terraform root for the environment `prod`"));

    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("main.tf"), ROOT).unwrap();
    terraform(&["init", "-no-color", "-input=false"]);
    assert!(line("terraform").contains("can't read the output `streamify` of"));
    terraform(&["apply", "-no-color", "-input=false", "-auto-approve"]);
    assert_eq!(line("terraform"), "✔ terraform  the output `streamify` of terraform/environments/prod: backend");

    // What Terraform makes is no secret that a person has to write.
    assert_eq!(project.json(&["secrets", "diff", "prod"]), serde_json::json!([]));
    fs::write(root.join("main.tf"), ROOT.replace("log_group", "logs")).unwrap();
    terraform(&["apply", "-no-color", "-input=false", "-auto-approve"]);
    let ran = project.run(&["verify", "prod"]);
    assert!(ran.out.contains("is not what a deploy needs, in services.backend"), "{}", ran.out);
    assert!(ran.out.contains("missing field `log_group`"), "{}", ran.out);
}

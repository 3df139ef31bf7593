//! Signatures and permissions, which moto checks once it has been told whose they are.

use std::fs;

use serde_json::json;

use super::Project;
use crate::support::aws::{ACCOUNT, Emulator, Player, REGION};
use crate::support::ground::query;

/// Calls that make the user; every later one is checked.
const UNCHECKED: &str = "3";

/// A user that may look at subnets and roles, and at nothing else; their key and its secret.
async fn user(endpoint: &str) -> (String, String) {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Resource": "*",
                         "Action": ["ec2:DescribeSubnets", "iam:GetRole", "sts:GetCallerIdentity"] }] });
    let policy: Vec<String> = policy.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let iam = async |form: &str, element| query(endpoint, "iam", &format!("{form}&Version=2010-05-08"), element).await;
    iam("Action=CreateUser&UserName=ann", "UserName").await;
    let put = format!("Action=PutUserPolicy&UserName=ann&PolicyName=look&PolicyDocument={}", policy.concat());
    iam(&put, "RequestId").await;
    let key = iam("Action=CreateAccessKey&UserName=ann", "AccessKey").await;
    // Name, id, status, secret, date.
    let words: Vec<&str> = key.split(' ').collect();
    (words[1].to_owned(), words[3].to_owned())
}

#[test]
fn requests_are_signed_and_a_missing_permission_is_named() {
    let emulator = Emulator::start(Player::Moto, &[("INITIAL_NO_AUTH_ACTION_COUNT", UNCHECKED)]);
    let (key, secret) = tokio::runtime::Runtime::new().unwrap().block_on(user(&emulator.endpoint()));
    let text = format!(
        "name: cinema\nservices: {{backend: {{secrets: {{TOKEN: TOKEN}}}}}}\n\
                        environments: {{prod: {{region: {REGION}, account: '{ACCOUNT}'}}}}\n"
    );
    let mut project = Project::new(&emulator.endpoint(), &text);
    let outputs = json!({
        "cluster": "cinema", "subnets": ["subnet-gone"], "assign_public_ip": false, "deploys_table": "deploys",
        "services": { "backend": {
            "name": "backend", "execution_role": format!("arn:aws:iam::{ACCOUNT}:role/gone"),
            "task_role": format!("arn:aws:iam::{ACCOUNT}:role/gone"), "security_groups": ["sg-gone"],
            "log_group": "/gone", "target_group": null,
        } },
    });
    fs::write(project.folder.path().join("outputs.json"), outputs.to_string()).unwrap();
    project.variable("AWS_ACCESS_KEY_ID", Some(&key));
    project.variable("AWS_SECRET_ACCESS_KEY", Some(&secret));
    let ran = project.run(&["verify", "prod", "--outputs", "outputs.json"]);
    assert!(
        ran.out.contains(&format!("✔ credentials  account {ACCOUNT}, arn:aws:iam::{ACCOUNT}:user/ann")),
        "{}",
        ran.out
    );
    // What is signed without an SDK is accepted: the answers are those of somebody who may look.
    assert!(ran.out.contains("there is no subnet subnet-gone"), "{}", ran.out);
    assert!(ran.out.contains("it is not there (NoSuchEntity)"), "{}", ran.out);
    // What is not allowed is told with its action.
    assert!(ran.out.contains("the permission ec2:DescribeSecurityGroups is missing"), "{}", ran.out);
    assert!(ran.out.contains(&format!("the credentials belong to arn:aws:iam::{ACCOUNT}:user/ann")), "{}", ran.out);

    project.variable("AWS_SECRET_ACCESS_KEY", Some("not-the-secret"));
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("403"), "{}", ran.err);
    project.never_printed(&[&secret]);
}

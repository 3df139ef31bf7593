//! The roles that tasks have: they are there, and ECS may take them on.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Check;
use crate::aws::{self, Aws, Service};
use crate::failure::{Failure, Result};
use crate::outputs::Outputs;

const VERSION: &str = "2010-05-08";
/// Who takes the roles of tasks on.
const TASKS: &str = "ecs-tasks.amazonaws.com";

pub(super) async fn check(aws: &Aws, outputs: &Outputs) -> Vec<Check> {
    // Services share roles: each is asked for once.
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (service, made) in &outputs.services {
        users.entry(&made.execution_role).or_default().push(format!("{service}'s execution"));
        users.entry(&made.task_role).or_default().push(format!("{service}'s tasks"));
    }
    let checks = users.into_iter().map(async |(arn, users)| {
        let name = arn.split_once(":role/").map_or(arn, |(_, path)| path.rsplit('/').next().unwrap_or(path));
        Check::of(name, trusted(aws, name).await.map(|()| format!("for {}", users.join(", "))))
    });
    futures_util::future::join_all(checks).await
}

async fn trusted(aws: &Aws, name: &str) -> Result<()> {
    let doing = format!("can't look at the role {name}");
    let answer = aws.query(Service::Iam, "GetRole", VERSION, &[("RoleName", name)], &doing).await?;
    let document = answer.document()?;
    let role = document.descendants().find(|node| node.tag_name().name() == "Role");
    let policy = role.and_then(|role| aws::text(role, "AssumeRolePolicyDocument")).unwrap_or_default();
    if trusts_tasks(&decoded(policy)) {
        return Ok(());
    }
    Err(Failure::failed(format!("ECS may not take on the role {name}"))
        .cause(format!("its trust policy does not allow sts:AssumeRole to {TASKS}"))
        .hint(format!("In Terraform, let its assume_role_policy name the service {TASKS}.")))
}

/// Whether a statement allows the tasks' service to assume the role.
fn trusts_tasks(policy: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return false };
    let one_or_more = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let has = |value: &Value, wanted: &[&str]| {
        one_or_more(value).iter().filter_map(Value::as_str).any(|text| wanted.contains(&text))
    };
    one_or_more(&policy["Statement"]).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && has(&statement["Action"], &["sts:AssumeRole", "sts:*", "*"])
            && has(&statement["Principal"]["Service"], &[TASKS])
    })
}

/// IAM gives policies percent-encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_policy_is_read_in_every_form() {
        let one = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ecs-tasks.amazonaws.com"}}}"#;
        assert!(trusts_tasks(one));
        let several = r#"{"Statement":[{"Effect":"Deny","Action":"*","Principal":"*"},{"Effect":"Allow",
            "Action":["sts:TagSession","sts:AssumeRole"],"Principal":{"Service":["ec2.amazonaws.com","ecs-tasks.amazonaws.com"]}}]}"#;
        assert!(trusts_tasks(several));
        assert!(!trusts_tasks(&one.replace("ecs-tasks", "ecs")));
        assert!(!trusts_tasks(&one.replace("Allow", "Deny")));
        assert!(!trusts_tasks("nothing"));
    }

    #[test]
    fn policies_come_percent_encoded() {
        assert_eq!(decoded("%7B%22a%22%3A%20%22100%%22%7D"), r#"{"a": "100%"}"#);
    }
}

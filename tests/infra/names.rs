//! The CDK and Terraform's roots make the same: names, sizes and outputs, held beside each other as both plan them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::aws::provider;
use super::cdk::with_true_app;
use crate::aws::Project;
use crate::support::aws::{Emulator, Player};

const CONFIGURATION: &str = "name: cinema
services:
  backend: {port: 3001, health_path: /health/ready, cpu: 512, memory: 1024, secrets: {KEYS: JWT_KEYS}}
  frontend: {port: 3000, health_path: /health/live}
  worker: {cpu: 256, memory: 512}
environments:
  ENVIRONMENT:
    region: eu-west-1
    variables: {github_repository: example/cinema}
";

/// The properties of a template's resources of a type.
pub fn of_type<'a>(template: &'a Value, wanted: &'a str) -> impl Iterator<Item = &'a Value> {
    let resources = template["Resources"].as_object().unwrap().values();
    resources.filter(move |resource| resource["Type"] == wanted).map(|resource| &resource["Properties"])
}

/// Every planned resource, of all modules: its type and values.
fn planned<'a>(module: &'a Value, all: &mut Vec<(&'a str, &'a Value)>) {
    for resource in module["resources"].as_array().into_iter().flatten() {
        all.push((resource["type"].as_str().unwrap(), &resource["values"]));
    }
    for child in module["child_modules"].as_array().into_iter().flatten() {
        planned(child, all);
    }
}

/// What both have: Terraform's type and attribute, `CloudFormation`'s type and property.
const BOTH: [(&str, &str, &str, &str); 22] = [
    ("aws_ecs_cluster", "/name", "AWS::ECS::Cluster", "/ClusterName"),
    ("aws_ecs_service", "/name", "AWS::ECS::Service", "/ServiceName"),
    ("aws_ecr_repository", "/name", "AWS::ECR::Repository", "/RepositoryName"),
    ("aws_dynamodb_table", "/name", "AWS::DynamoDB::GlobalTable", "/TableName"),
    ("aws_cloudwatch_log_group", "/name", "AWS::Logs::LogGroup", "/LogGroupName"),
    ("aws_cloudwatch_log_group", "/retention_in_days", "AWS::Logs::LogGroup", "/RetentionInDays"),
    ("aws_cloudwatch_dashboard", "/dashboard_name", "AWS::CloudWatch::Dashboard", "/DashboardName"),
    ("aws_sns_topic", "/name", "AWS::SNS::Topic", "/TopicName"),
    ("aws_vpc", "/cidr_block", "AWS::EC2::VPC", "/CidrBlock"),
    ("aws_wafv2_web_acl", "/name", "AWS::WAFv2::WebACL", "/Name"),
    ("aws_db_instance", "/identifier", "AWS::RDS::DBInstance", "/DBInstanceIdentifier"),
    ("aws_db_instance", "/db_name", "AWS::RDS::DBInstance", "/DBName"),
    ("aws_db_instance", "/instance_class", "AWS::RDS::DBInstance", "/DBInstanceClass"),
    ("aws_db_instance", "/engine_version", "AWS::RDS::DBInstance", "/EngineVersion"),
    ("aws_db_instance", "/max_allocated_storage", "AWS::RDS::DBInstance", "/MaxAllocatedStorage"),
    ("aws_db_instance", "/multi_az", "AWS::RDS::DBInstance", "/MultiAZ"),
    ("aws_db_instance", "/backup_retention_period", "AWS::RDS::DBInstance", "/BackupRetentionPeriod"),
    ("aws_msk_cluster", "/kafka_version", "AWS::MSK::Cluster", "/KafkaVersion"),
    ("aws_msk_cluster", "/number_of_broker_nodes", "AWS::MSK::Cluster", "/NumberOfBrokerNodes"),
    (
        "aws_msk_cluster",
        "/broker_node_group_info/0/instance_type",
        "AWS::MSK::Cluster",
        "/BrokerNodeGroupInfo/InstanceType",
    ),
    ("aws_msk_serverless_cluster", "/cluster_name", "AWS::MSK::ServerlessCluster", "/ClusterName"),
    ("aws_appautoscaling_target", "/max_capacity", "AWS::ApplicationAutoScaling::ScalableTarget", "/MaxCapacity"),
];

/// Names that one side has beside the other's. CDK's function that asks MSK for its brokers logs; MSK's volumes grow by
/// themselves in Terraform alone (`docs/decisions/0017-cdk.md`).
const OWN: [&str; 2] = ["/messaging/bootstrap", "1000"];

/// Text of numbers and flags too; in order, without what is known only later.
fn texts<'a>(values: impl Iterator<Item = Option<&'a Value>>) -> BTreeSet<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    values.filter_map(|value| text(value?)).filter(|text| !OWN.iter().any(|own| text.ends_with(own))).collect()
}

/// Names of roles and alarms that a person or a deploy meets; those of AWS's own making differ.
fn ending(names: BTreeSet<String>, ends: &[&str]) -> BTreeSet<String> {
    names.into_iter().filter(|name| ends.iter().any(|end| name.ends_with(end))).collect()
}

/// All paths of keys in an object. What is only known after the apply is `true` in the second.
fn keys(value: &Value, unknown: &Value, path: &str, all: &mut BTreeSet<String>) {
    let names: BTreeSet<&String> =
        [value, unknown].iter().filter_map(|one| one.as_object()).flat_map(|one| one.keys()).collect();
    for name in names {
        let path = format!("{path}.{name}");
        keys(&value[name], &unknown[name], &path, all);
        all.insert(path);
    }
}

fn underscored(name: &str) -> String {
    name.chars()
        .flat_map(|letter| letter.is_ascii_uppercase().then_some('_').into_iter().chain([letter.to_ascii_lowercase()]))
        .collect()
}

/// The text of an output in which references stand as `REFERENCE`.
fn flat(value: &Value) -> String {
    let parts = value["Fn::Join"][1].as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    parts.iter().map(|part| part.as_str().map_or_else(|| "REFERENCE".to_owned(), str::to_owned)).collect()
}

/// This project's own Terraform, as if it was the project's, with what lets it run against what plays AWS.
pub fn with_true_roots(project: &Project, environments: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = project.folder.path();
    // Without what somebody's own work has left there.
    let copy = "tar -c --exclude=.terraform --exclude='*.tfstate*' --exclude='*.tfvars*' --exclude='*.tfbackend.json' \
                --exclude='.terraform.lock.hcl' --exclude='*_override.tf' terraform | tar -x -C \"$1\"";
    let copied = Command::new("sh").args(["-c", copy, "sh"]).arg(folder).current_dir(source).status();
    assert!(copied.unwrap().success());
    for environment in environments {
        let root = folder.join("terraform/environments").join(environment);
        fs::copy(source.join("tests/infra/emulator_override.tf"), root.join("emulator_override.tf")).unwrap();
        fs::write(root.join("backend_override.tf"), "terraform {\n  backend \"local\" {}\n}\n").unwrap();
    }
}

fn same(environment: &str) {
    let moto = Emulator::start(Player::Moto, &[]);
    let mut project = Project::new(&moto.endpoint(), &CONFIGURATION.replace("ENVIRONMENT", environment));
    project.variable("TF_CLI_CONFIG_FILE", Some(&provider()));
    with_true_roots(&project, &[environment]);
    let folder = project.folder.path();
    let root = folder.join("terraform/environments").join(environment);
    let app = with_true_app(&project);

    project.good(&["infra", "plan", environment]);
    let plan = folder.join(".streamify/infra").join(environment).join("plan");
    let shown = Command::new("terraform")
        .args(["show", "-json", plan.to_str().unwrap()])
        .current_dir(&root)
        .env("TF_CLI_CONFIG_FILE", provider())
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let mut resources = Vec::new();
    planned(&shown["planned_values"]["root_module"], &mut resources);

    project.good(&["infra", "validate", environment, "--with", "cdk"]);
    let template = fs::read_to_string(app.join(format!("cdk.out/cinema-{environment}.template.json"))).unwrap();
    let template: Value = serde_json::from_str(&template).unwrap();

    let terraform = |kind: &str, pointer: &str| {
        texts(resources.iter().filter(|(one, _)| *one == kind).map(|(_, values)| values.pointer(pointer)))
    };
    let cdk = |kind: &str, pointer: &str| texts(of_type(&template, kind).map(|properties| properties.pointer(pointer)));
    for (theirs, attribute, ours, property) in BOTH {
        assert_eq!(
            cdk(ours, property),
            terraform(theirs, attribute),
            "{environment}: {ours}{property}, {theirs}{attribute}"
        );
    }
    let roles = ["-execution", "-task", "-deploy"];
    assert_eq!(ending(cdk("AWS::IAM::Role", "/RoleName"), &roles), ending(terraform("aws_iam_role", "/name"), &roles));
    let alarms = ["-rollout-errors", "-rollout-latency"];
    let ours = ending(cdk("AWS::CloudWatch::Alarm", "/AlarmName"), &alarms);
    assert_eq!(ours, ending(terraform("aws_cloudwatch_metric_alarm", "/alarm_name"), &alarms));
    assert_eq!((ours.len(), cdk("AWS::ECS::Service", "/ServiceName").len()), (4, 3));

    let changes = shown["output_changes"].as_object().unwrap();
    let outputs: BTreeMap<String, &Value> = template["Outputs"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, output)| (underscored(name), &output["Value"]))
        .collect();
    assert_eq!(outputs.keys().collect::<Vec<_>>(), changes.keys().collect::<Vec<_>>());
    let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
    keys(&changes["streamify"]["after"], &changes["streamify"]["after_unknown"], "", &mut theirs);
    keys(&serde_json::from_str(&flat(outputs["streamify"])).unwrap(), &json!(null), "", &mut ours);
    assert_eq!(ours, theirs, "{environment}: keys of the output `streamify`");
    assert!(ours.contains(".services.worker.log_group") && ours.contains(".environment.KAFKA_BROKERS"), "{ours:?}");
}

#[test]
fn production_is_the_same_by_both() {
    same("prod");
}

#[test]
fn staging_is_the_same_by_both() {
    same("staging");
}

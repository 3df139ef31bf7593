//! The cluster, the services in it, their target groups and log groups, and the quota for all tasks.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::Service as EcsService;
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetGroup, TargetTypeEnum};
use serde_json::json;

use super::{Check, Subject};
use crate::aws::{Aws, Service};
use crate::failure::{Failure, Result};
use crate::outputs::{Outputs, ServiceOutputs};
use crate::settings::ServiceSettings;

/// Services that one `DescribeServices` takes.
const BATCH: usize = 10;
/// Fargate's quota of processors that run at once, in Service Quotas.
const FARGATE_PROCESSORS: &str = "L-3032A538";

/// The cluster and the services as ECS has them.
pub(super) struct Seen {
    pub cluster: Result<String>,
    pub services: Result<BTreeMap<String, EcsService>>,
}

impl Seen {
    pub async fn look(aws: &Aws, outputs: &Outputs) -> Self {
        let cluster = cluster(aws, outputs).await;
        let services = match &cluster {
            Ok(_) => services(aws, outputs).await,
            Err(failure) => Err(failure.clone()),
        };
        Self { cluster, services }
    }

    /// A service by the name in Terraform's outputs.
    pub fn service(&self, made: &ServiceOutputs) -> Option<&EcsService> {
        self.services.as_ref().ok()?.get(&made.name)
    }
}

async fn cluster(aws: &Aws, outputs: &Outputs) -> Result<String> {
    let answer = aws.ecs().describe_clusters().clusters(&outputs.cluster).send().await;
    let answer = answer.map_err(|error| aws.failure("can't look at the cluster", &error))?;
    let status = answer.clusters.unwrap_or_default().into_iter().next().and_then(|cluster| cluster.status);
    match status.as_deref() {
        Some("ACTIVE") => Ok(outputs.cluster.clone()),
        Some(other) => Err(Failure::failed(format!("the cluster {} is {other}", outputs.cluster))),
        None => Err(Failure::failed(format!("there is no cluster {}", outputs.cluster))
            .hint(format!("It was looked for in {}; Terraform says that it made it.", aws.region()))),
    }
}

async fn services(aws: &Aws, outputs: &Outputs) -> Result<BTreeMap<String, EcsService>> {
    let names: Vec<String> = outputs.services.values().map(|made| made.name.clone()).collect();
    let mut all = BTreeMap::new();
    for batch in names.chunks(BATCH) {
        let call = aws.ecs().describe_services().cluster(&outputs.cluster).set_services(Some(batch.to_vec()));
        let answer = call.send().await.map_err(|error| aws.failure("can't look at the services", &error))?;
        let services = answer.services.unwrap_or_default().into_iter();
        all.extend(services.filter_map(|service| Some((service.service_name.clone()?, service))));
    }
    Ok(all)
}

/// Each service with its target group.
pub(super) async fn check(subject: &Subject<'_>, outputs: &Outputs, seen: &Seen) -> Vec<Check> {
    if let Err(failure) = &seen.services {
        return vec![Check::skipped("services", failure.to_string())];
    }
    let groups = target_groups(subject.aws, outputs).await;
    let both =
        subject.environment.services.iter().filter_map(|(key, wanted)| Some((key, wanted, outputs.services.get(key)?)));
    both.map(|(key, wanted, made)| {
        let mut checks = vec![Check::of("in the cluster", in_cluster(seen, made))];
        match (&made.target_group, seen.service(made)) {
            (Some(arn), Some(service)) => {
                checks.push(Check::of("registered", registered(service, made, arn, wanted)));
                checks.push(match &groups {
                    Ok(groups) => match groups.get(arn) {
                        Some(group) => target_group(group, wanted),
                        None => Check::failed("target group", format!("there is no target group {arn}")),
                    },
                    Err(failure) => Check::failure("target group", failure.clone()),
                });
            }
            (None, _) if wanted.port.is_some() => {
                checks.push(Check::skipped("target group", "it has none: no load balancer leads to it"));
            }
            _ => {}
        }
        Check::group(key, checks)
    })
    .collect()
}

fn in_cluster(seen: &Seen, made: &ServiceOutputs) -> Result<String> {
    let name = &made.name;
    let service = seen.service(made).ok_or_else(|| {
        Failure::failed(format!("there is no service {name}")).hint("Terraform makes it: streamify infra apply ENV")
    })?;
    match service.status() {
        Some("ACTIVE") => Ok(format!("{name}: {} of {} run", service.running_count, service.desired_count)),
        other => Err(Failure::failed(format!("the service {name} is {}", other.unwrap_or("without a status")))),
    }
}

/// The load balancer sends to a container and a port: both have to be those that the deploy makes.
fn registered(service: &EcsService, made: &ServiceOutputs, arn: &str, wanted: &ServiceSettings) -> Result<String> {
    let entry =
        service.load_balancers().iter().find(|entry| entry.target_group_arn() == Some(arn)).ok_or_else(|| {
            Failure::failed("ECS does not put its tasks into the target group of Terraform's outputs")
                .cause(format!("the service {} has no entry for {arn}", made.name))
        })?;
    let (container, port) = (entry.container_name().unwrap_or_default(), entry.container_port().unwrap_or_default());
    if container != made.container {
        return Err(Failure::failed(format!("the load balancer sends to the container `{container}`"))
            .cause(format!("the deploy calls it `{}`", made.container))
            .hint("Let the output's `container` and the service's load_balancer block in Terraform have one name."));
    }
    match wanted.port {
        Some(wanted) if i32::from(wanted) == port => Ok(format!("{container}:{port}")),
        Some(wanted) => Err(Failure::failed(format!("the load balancer sends to port {port}"))
            .cause(format!("the service listens on {wanted}, says streamify.yaml"))),
        None => Err(Failure::failed(format!("the load balancer sends to port {port}"))
            .cause("the service has no `port` in streamify.yaml")),
    }
}

async fn target_groups(aws: &Aws, outputs: &Outputs) -> Result<BTreeMap<String, TargetGroup>> {
    let arns: Vec<String> = outputs.services.values().filter_map(|made| made.target_group.clone()).collect();
    let client = aws.load_balancers();
    // One that is not there makes the whole call fail, so each is asked for by itself.
    let calls =
        arns.iter().map(async |arn| match client.describe_target_groups().target_group_arns(arn).send().await {
            Ok(answer) => Ok(answer.target_groups.unwrap_or_default()),
            Err(error) if crate::aws::is_not_found(&error) => Ok(Vec::new()),
            Err(error) => Err(aws.failure("can't look at the target groups", &error)),
        });
    let groups = futures_util::future::try_join_all(calls).await?;
    Ok(groups.into_iter().flatten().filter_map(|group| Some((group.target_group_arn.clone()?, group))).collect())
}

fn target_group(group: &TargetGroup, wanted: &ServiceSettings) -> Check {
    let name = format!("target group {}", group.target_group_name().unwrap_or_default());
    let mut wrong = Vec::new();
    if group.target_type() != Some(&TargetTypeEnum::Ip) {
        let has = group.target_type().map_or("none", TargetTypeEnum::as_str);
        wrong.push(format!("its target type is {has}; tasks on Fargate are reached by ip"));
    }
    let protocol = group.protocol().map(ProtocolEnum::as_str).unwrap_or_default();
    if !["HTTP", "HTTPS"].contains(&protocol) && wanted.health_path.is_some() {
        wrong.push(format!("its protocol is {protocol}; a health path needs HTTP"));
    }
    if let (Some(path), Some(has)) = (&wanted.health_path, group.health_check_path())
        && path != has
    {
        wrong.push(format!("it asks {has} for health; streamify.yaml says {path}"));
    }
    let port = group.health_check_port().unwrap_or("traffic-port");
    if port != "traffic-port" && wanted.port.is_some_and(|wanted| wanted.to_string() != port) {
        wrong.push(format!("it asks port {port} for health, where the service does not listen"));
    }
    if group.load_balancer_arns().is_empty() {
        wrong.push("no listener leads to it".to_owned());
    }
    if wrong.is_empty() {
        return Check::ok(name, format!("{protocol}, health {}", group.health_check_path().unwrap_or("by connection")));
    }
    let mut check = Check::failed(name, "");
    check.reasons = wrong;
    check.hint("Terraform owns it: streamify infra plan ENV shows what differs.")
}

/// Tasks can't start when their log has nowhere to go.
pub(super) async fn logs(aws: &Aws, outputs: &Outputs) -> Vec<Check> {
    let names: std::collections::BTreeSet<&str> =
        outputs.services.values().map(|made| made.log_group.as_str()).collect();
    let client = aws.logs();
    let checks = names.into_iter().map(async |name| {
        let answer = client.describe_log_groups().log_group_name_prefix(name).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return Check::failure(name, aws.failure(format!("can't look at the log group {name}"), &error));
            }
        };
        let groups = answer.log_groups.unwrap_or_default();
        match groups.iter().find(|group| group.log_group_name() == Some(name)) {
            Some(group) => match group.retention_in_days {
                Some(days) => Check::ok(name, format!("kept for {days} days")),
                None => Check::ok(name, "kept for ever").hint("A retention in Terraform keeps its price from growing."),
            },
            None => Check::failed(name, "there is no such log group: tasks would not start"),
        }
    });
    futures_util::future::join_all(checks).await
}

/// Whether a rollout of everything at once fits: for a while, old and new tasks run side by side.
pub(super) async fn quota(subject: &Subject<'_>) -> Check {
    const NAME: &str = "quota";
    let units: u32 = subject.environment.services.values().map(|service| service.cpu * service.replicas).sum();
    let needed = f64::from(units) / 1024.0 * 2.0;
    let body = json!({ "ServiceCode": "fargate", "QuotaCode": FARGATE_PROCESSORS });
    let target = "ServiceQuotasV20190624.GetServiceQuota";
    let answer = subject.aws.json(Service::Quotas, target, &body, "can't ask for Fargate's quota").await;
    let limit = match answer {
        Ok(answer) => answer["Quota"]["Value"].as_f64(),
        Err(failure) => return Check::skipped(NAME, failure.to_string()),
    };
    match limit {
        None => Check::skipped(NAME, "the account has no quota of Fargate's processors"),
        Some(limit) if limit < needed => {
            let why = format!("a rollout needs up to {needed} processors, and the account may run {limit}");
            Check::failed(NAME, why).hint("Ask for more: aws service-quotas request-service-quota-increase")
        }
        Some(limit) => Check::ok(NAME, format!("up to {needed} of {limit} processors, beside what else runs")),
    }
}

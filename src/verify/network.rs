//! Subnets and security groups: there, in one network, with room and with a way for traffic.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;

use super::{Check, Subject};
use crate::aws::{Aws, Service, entries, text};
use crate::failure::{Failure, Result};
use crate::outputs::Outputs;

const VERSION: &str = "2016-11-15";

struct Subnet {
    id: String,
    network: String,
    zone: String,
    state: String,
    free: u32,
}

struct Group {
    id: String,
    network: String,
    /// From port, to port; both -1 for everything.
    incoming: Vec<(i64, i64)>,
    has_outgoing: bool,
}

impl Group {
    fn lets_in(&self, port: u16) -> bool {
        let port = i64::from(port);
        self.incoming.iter().any(|(from, to)| *from == -1 || (*from <= port && port <= *to))
    }
}

pub(super) async fn check(subject: &Subject<'_>, outputs: &Outputs) -> Vec<Check> {
    let (subnets, groups) = tokio::join!(subnets(subject.aws, outputs), groups(subject.aws, outputs));
    let network = subnets.as_ref().ok().and_then(|all| all.values().next()).map(|subnet| subnet.network.clone());
    let of_subnets = match subnets {
        Ok(subnets) => check_subnets(subject, outputs, &subnets),
        Err(failure) => Check::failure("subnets", failure),
    };
    let of_groups = match groups {
        Ok(groups) => check_groups(subject, outputs, &groups, network.as_deref()),
        Err(failure) => Check::failure("security groups", failure),
    };
    vec![of_subnets, of_groups]
}

fn check_subnets(subject: &Subject<'_>, outputs: &Outputs, subnets: &BTreeMap<String, Subnet>) -> Check {
    let network = subnets.values().next().map(|subnet| subnet.network.clone()).unwrap_or_default();
    let mut checks: Vec<Check> = outputs
        .subnets
        .iter()
        .map(|id| {
            let subnet = subnets.get(id).ok_or_else(|| Failure::failed(format!("there is no subnet {id}")));
            Check::of(id, subnet.and_then(|subnet| one_subnet(subnet, &network)))
        })
        .collect();
    let free: u32 = subnets.values().map(|subnet| subnet.free).sum();
    let tasks: u32 = subject.environment.services.values().map(|service| service.replicas).sum();
    // In a rollout old and new tasks run side by side.
    let needed = tasks * 2;
    checks.push(if free < needed {
        let why = format!("{free} addresses are free, and a rollout of {tasks} tasks needs up to {needed}");
        Check::failed("addresses", why).hint("Larger subnets, or more of them; what ran before may still hold some.")
    } else {
        Check::ok("addresses", format!("{free} are free, up to {needed} needed"))
    });
    let zones: BTreeSet<&str> = subnets.values().map(|subnet| subnet.zone.as_str()).collect();
    let seen = zones.iter().copied().collect::<Vec<_>>().join(", ");
    checks.push(match zones.len() {
        0 => Check::skipped("zones", "no subnet is known"),
        1 => Check::ok("zones", seen).hint("All tasks are in one availability zone: when it fails, all of them do."),
        _ => Check::ok("zones", seen),
    });
    Check::group("subnets", checks)
}

fn one_subnet(subnet: &Subnet, network: &str) -> Result<String> {
    if subnet.network != network {
        return Err(Failure::failed(format!("{} is in {}", subnet.id, subnet.network))
            .cause(format!("the others are in {network}")));
    }
    if subnet.state != "available" {
        return Err(Failure::failed(format!("{} is {}", subnet.id, subnet.state)));
    }
    Ok(format!("{}, {} addresses free", subnet.zone, subnet.free))
}

fn check_groups(
    subject: &Subject<'_>,
    outputs: &Outputs,
    groups: &BTreeMap<String, Group>,
    network: Option<&str>,
) -> Check {
    let of_service = outputs.services.iter().map(|(key, made)| {
        let port = subject.environment.services.get(key).and_then(|wanted| wanted.port);
        let port = port.filter(|_| made.target_group.is_some());
        Check::of(key, of_service(&made.security_groups, port, groups, network))
    });
    Check::group("security groups", of_service.collect())
}

fn of_service(
    ids: &[String],
    port: Option<u16>,
    groups: &BTreeMap<String, Group>,
    network: Option<&str>,
) -> Result<String> {
    let mut of_service = Vec::new();
    for id in ids {
        let group = groups.get(id).ok_or_else(|| Failure::failed(format!("there is no security group {id}")))?;
        if network.is_some_and(|network| network != group.network) {
            return Err(Failure::failed(format!("{id} is in {}", group.network))
                .cause(format!("the subnets are in {}", network.unwrap_or_default())));
        }
        of_service.push(group);
    }
    if !of_service.iter().any(|group| group.has_outgoing) {
        return Err(Failure::failed("tasks may not reach anything")
            .cause(format!("{} lets nothing out", ids.join(", ")))
            .hint("At least the image's registry, the log and the secrets have to be reached (port 443)."));
    }
    match port {
        Some(port) if !of_service.iter().any(|group| group.lets_in(port)) => {
            Err(Failure::failed(format!("the load balancer may not reach port {port}"))
                .cause(format!("{} does not let it in", ids.join(", "))))
        }
        Some(port) => Ok(format!("{} lets in port {port}", ids.join(", "))),
        None => Ok(ids.join(", ")),
    }
}

/// Filters instead of ids: one that is not there is then missing in the answer, not a refusal of all.
async fn ask(aws: &Aws, action: &str, filter: &str, ids: &BTreeSet<&str>, doing: &str) -> Result<crate::aws::Answer> {
    let keys: Vec<String> = (1..=ids.len()).map(|index| format!("Filter.1.Value.{index}")).collect();
    let mut parameters = vec![("Filter.1.Name", filter)];
    parameters.extend(keys.iter().map(String::as_str).zip(ids.iter().copied()));
    aws.query(Service::Ec2, action, VERSION, &parameters, doing).await
}

async fn subnets(aws: &Aws, outputs: &Outputs) -> Result<BTreeMap<String, Subnet>> {
    let ids = outputs.subnets.iter().map(String::as_str).collect();
    let answer = ask(aws, "DescribeSubnets", "subnet-id", &ids, "can't look at the subnets").await?;
    let document = answer.document()?;
    let read = |node: Node<'_, '_>| {
        let field = |name| text(node, name).unwrap_or_default().to_owned();
        Subnet {
            id: field("subnetId"),
            network: field("vpcId"),
            zone: field("availabilityZone"),
            state: field("state"),
            free: field("availableIpAddressCount").parse().unwrap_or_default(),
        }
    };
    Ok(entries(document.root(), "subnetSet").map(read).map(|subnet| (subnet.id.clone(), subnet)).collect())
}

async fn groups(aws: &Aws, outputs: &Outputs) -> Result<BTreeMap<String, Group>> {
    let ids = outputs.services.values().flat_map(|made| made.security_groups.iter().map(String::as_str)).collect();
    let answer = ask(aws, "DescribeSecurityGroups", "group-id", &ids, "can't look at the security groups").await?;
    let document = answer.document()?;
    let rules = |node: Node<'_, '_>, list: &str| -> Vec<(i64, i64)> {
        let port = |rule, name| text(rule, name).and_then(|text| text.parse().ok()).unwrap_or(-1);
        entries(node, list).map(|rule| (port(rule, "fromPort"), port(rule, "toPort"))).collect()
    };
    let read = |node: Node<'_, '_>| {
        let field = |name| text(node, name).unwrap_or_default().to_owned();
        Group {
            id: field("groupId"),
            network: field("vpcId"),
            incoming: rules(node, "ipPermissions"),
            has_outgoing: !rules(node, "ipPermissionsEgress").is_empty(),
        }
    };
    Ok(entries(document.root(), "securityGroupInfo").map(read).map(|group| (group.id.clone(), group)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_lets_in_the_ports_that_it_spans() {
        let group = |incoming| Group { id: String::new(), network: String::new(), incoming, has_outgoing: true };
        assert!(group(vec![(3000, 3001)]).lets_in(3001));
        assert!(group(vec![(-1, -1)]).lets_in(3001));
        assert!(!group(vec![(80, 443)]).lets_in(3001));
    }
}

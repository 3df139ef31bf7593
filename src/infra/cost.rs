//! A rough figure of what an environment costs in a month, by service, from a table of prices with its date.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::Shown;
use crate::failure::{Failure, Result};
use crate::settings::{Architecture, EnvironmentSettings, Target};

/// Hours of a month, as AWS's own calculator counts them.
const HOURS: f64 = 730.0;
/// The region whose prices are taken where a region has none.
const USUAL: &str = "eu-west-1";

/// The table, `templates/prices/aws.json` or one of a team's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Year and month.
    pub as_of: String,
    pub currency: String,
    pub basis: String,
    regions: BTreeMap<String, Region>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Region {
    nat_gateway_hour: f64,
    load_balancer_hour: f64,
    public_ipv4_hour: f64,
    interface_endpoint_hour: f64,
    fargate_cpu_hour: f64,
    fargate_memory_gb_hour: f64,
    fargate_arm_cpu_hour: f64,
    fargate_arm_memory_gb_hour: f64,
    database_hour: BTreeMap<String, f64>,
    database_storage_gb_month: f64,
    broker_hour: BTreeMap<String, f64>,
    broker_storage_gb_month: f64,
    messaging_serverless_hour: f64,
    kms_key_month: f64,
    secret_month: f64,
    alarm_month: f64,
    dashboard_month: f64,
    hosted_zone_month: f64,
    web_acl_month: f64,
    by_use: BTreeMap<String, String>,
}

impl Prices {
    /// The table that is built in.
    ///
    /// # Errors
    /// Never, in a binary whose tests have passed.
    pub fn built_in() -> Result<Self> {
        Self::parse(include_str!("../../templates/prices/aws.json"), "templates/prices/aws.json")
    }

    /// Reads a table.
    ///
    /// # Errors
    /// It is of another form.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let prices: Self = serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("{source} is no table of prices")).because(&error))?;
        if prices.regions.is_empty() {
            return Err(Failure::usage(format!("{source} has no region")));
        }
        Ok(prices)
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub service: String,
    /// What of it, such as `2 × 0.5 CPU, 1 GB`.
    pub what: String,
    /// In the table's currency.
    pub monthly: f64,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bill {
    pub environment: String,
    pub region: String,
    /// The region whose prices these are.
    pub prices_of: String,
    pub as_of: String,
    pub currency: String,
    pub basis: String,
    pub lines: Vec<Line>,
    pub monthly: f64,
    /// What costs by use, with its price, and what the table does not have.
    pub not_counted: Vec<String>,
}

/// Every managed resource with its values.
fn resources(module: &Value, found: &mut Vec<(String, Value)>) {
    for resource in module.get("resources").and_then(Value::as_array).into_iter().flatten() {
        if resource.get("mode").and_then(Value::as_str) == Some("managed")
            && let Some(kind) = resource.get("type").and_then(Value::as_str)
        {
            found.push((kind.to_owned(), resource.get("values").cloned().unwrap_or_default()));
        }
    }
    let inner = module.get("child_modules").and_then(Value::as_array).into_iter().flatten();
    inner.for_each(|module| resources(module, found));
}

/// Adds it up.
///
/// # Errors
/// The table has neither the region nor the usual one.
pub fn bill(shown: &Shown, environment: &EnvironmentSettings, prices: &Prices) -> Result<Bill> {
    let wanted = environment.region.clone().unwrap_or_else(|| USUAL.to_owned());
    let known = prices.regions.get_key_value(&wanted).or_else(|| prices.regions.get_key_value(USUAL));
    let (prices_of, table) =
        known.or_else(|| prices.regions.first_key_value()).ok_or_else(|| Failure::usage("the table has no region"))?;
    let mut all = Vec::new();
    for whole in [&shown.planned_values, &shown.values] {
        if let Some(root) = whole.get("root_module") {
            resources(root, &mut all);
        }
    }
    let mut counting = Counting { table, lines: Vec::new(), not_counted: Vec::new() };
    counting.count(&all);
    if environment.target == Target::Fargate {
        counting.tasks(environment);
    }
    counting.by_use(&all);
    let monthly = counting.lines.iter().map(|line| line.monthly).sum();
    counting.lines.sort_by(|left, right| right.monthly.total_cmp(&left.monthly));
    Ok(Bill {
        environment: environment.name.clone(),
        region: wanted,
        prices_of: prices_of.clone(),
        as_of: prices.as_of.clone(),
        currency: prices.currency.clone(),
        basis: prices.basis.clone(),
        lines: counting.lines,
        monthly,
        not_counted: counting.not_counted,
    })
}

struct Counting<'a> {
    table: &'a Region,
    lines: Vec<Line>,
    not_counted: Vec<String>,
}

impl Counting<'_> {
    fn add(&mut self, service: &str, what: String, monthly: f64) {
        if monthly > 0.0 {
            self.lines.push(Line { service: service.to_owned(), what, monthly: (monthly * 100.0).round() / 100.0 });
        }
    }

    fn count(&mut self, all: &[(String, Value)]) {
        let table = self.table;
        let of = |kind: &str| all.iter().filter(|(one, _)| one == kind).map(|(_, values)| values).collect::<Vec<_>>();
        let many = |count: usize, word: &str| format!("{count} {word}");
        let each = [
            ("NAT gateways", "aws_nat_gateway", "gateways", table.nat_gateway_hour * HOURS),
            ("public addresses", "aws_eip", "addresses", table.public_ipv4_hour * HOURS),
            ("load balancers", "aws_lb", "balancers", table.load_balancer_hour * HOURS),
            ("KMS", "aws_kms_key", "keys", table.kms_key_month),
            ("Secrets Manager", "aws_secretsmanager_secret", "secrets", table.secret_month),
            ("CloudWatch alarms", "aws_cloudwatch_metric_alarm", "alarms", table.alarm_month),
            ("CloudWatch dashboards", "aws_cloudwatch_dashboard", "dashboards", table.dashboard_month),
            ("Route 53", "aws_route53_zone", "zones", table.hosted_zone_month),
            ("WAF", "aws_wafv2_web_acl", "access lists", table.web_acl_month),
            ("MSK Serverless", "aws_msk_serverless_cluster", "clusters", table.messaging_serverless_hour * HOURS),
        ];
        for (service, kind, word, price) in each {
            let count = of(kind).len();
            self.add(service, many(count, word), count as f64 * price);
        }
        let zones = of("aws_subnet")
            .iter()
            .filter_map(|subnet| subnet.get("availability_zone")?.as_str())
            .collect::<BTreeSet<_>>();
        let interfaces: usize = of("aws_vpc_endpoint")
            .iter()
            .filter(|endpoint| endpoint.get("vpc_endpoint_type").and_then(Value::as_str) == Some("Interface"))
            // Before the first apply the subnets have no ids yet; an endpoint has one address in each zone.
            .map(|endpoint| endpoint.get("subnet_ids").and_then(Value::as_array).map_or(zones.len().max(1), Vec::len))
            .sum();
        self.add(
            "interface endpoints",
            many(interfaces, "addresses"),
            interfaces as f64 * table.interface_endpoint_hour * HOURS,
        );
        for database in of("aws_db_instance") {
            self.database(database);
        }
        for cluster in of("aws_msk_cluster") {
            self.brokers(cluster);
        }
    }

    fn database(&mut self, values: &Value) {
        let class = values.get("instance_class").and_then(Value::as_str).unwrap_or("?");
        let storage = values.get("allocated_storage").and_then(Value::as_f64).unwrap_or(0.0);
        let is_double = values.get("multi_az").and_then(Value::as_bool).unwrap_or(false);
        let times = if is_double { 2.0 } else { 1.0 };
        let Some(hour) = self.table.database_hour.get(class) else {
            self.not_counted.push(format!("RDS {class}: the table has no price of it"));
            return;
        };
        let zones = if is_double { ", in two zones" } else { "" };
        let monthly = times * (hour * HOURS + storage * self.table.database_storage_gb_month);
        self.add("RDS", format!("{class}, {storage} GB{zones}"), monthly);
    }

    fn brokers(&mut self, values: &Value) {
        let count = values.get("number_of_broker_nodes").and_then(Value::as_f64).unwrap_or(0.0);
        let class = values.pointer("/broker_node_group_info/0/instance_type").and_then(Value::as_str).unwrap_or("?");
        let storage = values.pointer("/broker_node_group_info/0/storage_info/0/ebs_storage_info/0/volume_size");
        let storage = storage.and_then(Value::as_f64).unwrap_or(0.0);
        let Some(hour) = self.table.broker_hour.get(class) else {
            self.not_counted.push(format!("MSK {class}: the table has no price of it"));
            return;
        };
        let monthly = count * (hour * HOURS + storage * self.table.broker_storage_gb_month);
        self.add("MSK", format!("{count} × {class}, {storage} GB each"), monthly);
    }

    /// Tasks follow from `streamify.yaml`: Terraform makes the service's shell alone.
    fn tasks(&mut self, environment: &EnvironmentSettings) {
        for (name, service) in &environment.services {
            let (cpu, memory) = match service.architecture {
                Architecture::X8664 => (self.table.fargate_cpu_hour, self.table.fargate_memory_gb_hour),
                Architecture::Arm64 => (self.table.fargate_arm_cpu_hour, self.table.fargate_arm_memory_gb_hour),
            };
            let (processors, gigabytes) = (f64::from(service.cpu) / 1024.0, f64::from(service.memory) / 1024.0);
            let monthly = f64::from(service.replicas) * (processors * cpu + gigabytes * memory) * HOURS;
            self.add("Fargate", format!("{name}: {} × {processors} CPU, {gigabytes} GB", service.replicas), monthly);
        }
    }

    fn by_use(&mut self, all: &[(String, Value)]) {
        let has = |kind: &str| all.iter().any(|(one, _)| one == kind);
        let uses = [
            ("logs", "aws_cloudwatch_log_group"),
            ("NAT gateway", "aws_nat_gateway"),
            ("load balancer", "aws_lb"),
            ("S3", "aws_s3_bucket"),
            ("ECR", "aws_ecr_repository"),
            ("interface endpoint", "aws_vpc_endpoint"),
        ];
        for (name, _) in uses.iter().filter(|(_, kind)| has(kind)) {
            let price = self.table.by_use.get(*name).map(|price| format!(": {price}")).unwrap_or_default();
            self.not_counted.push(format!("{name}{price}"));
        }
        let others = [
            ("DynamoDB requests", "aws_dynamodb_table"),
            ("CloudFront", "aws_cloudfront_distribution"),
            ("Lambda", "aws_lambda_function"),
            ("API Gateway", "aws_apigatewayv2_api"),
        ];
        self.not_counted.extend(others.iter().filter(|(_, kind)| has(kind)).map(|(name, _)| (*name).to_owned()));
        self.not_counted
            .push("traffic to the internet and between zones; backups; tasks that auto scaling adds".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::{Environment, Flags, Settings};

    #[test]
    fn what_runs_all_month_is_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let text = "services: {api: {cpu: 512, memory: 1024, replicas: 2}}\nenvironments: {prod: {region: us-east-1}}";
        std::fs::write(folder.path().join("streamify.yaml"), text).unwrap();
        let flags = Flags { config: None, directory: Some(folder.path().to_owned()) };
        let settings = Settings::load(&flags, &Environment::from([])).unwrap();
        let environment = settings.ship.environment("prod", "x").unwrap();
        let resource = |kind: &str, values: Value| json!({"mode": "managed", "type": kind, "values": values});
        let shown = Shown {
            planned_values: json!({"root_module": {
                "resources": [resource("aws_s3_bucket", json!({}))],
                "child_modules": [{"resources": [
                    resource("aws_nat_gateway", json!({})), resource("aws_nat_gateway", json!({})),
                    resource("aws_db_instance", json!({"instance_class": "db.t4g.micro", "allocated_storage": 20, "multi_az": true})),
                    resource("aws_db_instance", json!({"instance_class": "db.x99", "allocated_storage": 20})),
                ]}],
            }}),
            ..Shown::default()
        };
        let bill = bill(&shown, &environment, &Prices::built_in().unwrap()).unwrap();
        let of = |service: &str| bill.lines.iter().find(|line| line.service == service).unwrap().monthly;
        assert!((of("NAT gateways") - 65.7).abs() < 0.01, "{bill:?}");
        assert!((of("RDS") - 27.96).abs() < 0.01, "{bill:?}");
        assert!((of("Fargate") - 36.04).abs() < 0.02, "{bill:?}");
        assert!(bill.not_counted.iter().any(|line| line.contains("db.x99")), "{bill:?}");
        assert!(bill.not_counted.iter().any(|line| line.starts_with("S3")), "{bill:?}");
        assert!((bill.monthly - bill.lines.iter().map(|line| line.monthly).sum::<f64>()).abs() < 0.001);
    }
}

//! One form for what is wanted and what is live: without what ECS adds by itself, with lists keyed by their names.
//!
//! The defaults are those of the ECS API reference (`RegisterTaskDefinition`, `DeploymentConfiguration`). A field that
//! has its default's value says nothing, on either side.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What is read-only in an answer of `DescribeTaskDefinition`.
const ANSWERED: [&str; 11] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
    "tags",
    "family",
];

/// Lists whose order means nothing, and the field that names an entry.
const NAMED: [(&str, &str); 10] = [
    ("containerDefinitions", "name"),
    ("environment", "name"),
    ("secrets", "name"),
    ("secretOptions", "name"),
    ("portMappings", "containerPort"),
    ("dependsOn", "containerName"),
    ("mountPoints", "containerPath"),
    ("ulimits", "name"),
    ("systemControls", "namespace"),
    ("volumes", "name"),
];

/// Lists of texts whose order means nothing.
const SETS: [&str; 3] = ["requiresCompatibilities", "alarmNames", "environmentFiles"];

/// What ECS takes where nothing is said, by path; `*` is any one name.
fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("networkMode", json!("awsvpc")),
        ("requiresCompatibilities", json!(["FARGATE"])),
        ("enableFaultInjection", json!(false)),
        ("ephemeralStorage.sizeInGiB", json!(20)),
        ("runtimePlatform.cpuArchitecture", json!("X86_64")),
        ("runtimePlatform.operatingSystemFamily", json!("LINUX")),
        ("containerDefinitions.*.cpu", json!(0)),
        ("containerDefinitions.*.essential", json!(true)),
        ("containerDefinitions.*.disableNetworking", json!(false)),
        ("containerDefinitions.*.interactive", json!(false)),
        ("containerDefinitions.*.privileged", json!(false)),
        ("containerDefinitions.*.pseudoTerminal", json!(false)),
        ("containerDefinitions.*.readonlyRootFilesystem", json!(false)),
        ("containerDefinitions.*.stopTimeout", json!(30)),
        ("containerDefinitions.*.versionConsistency", json!("enabled")),
        ("containerDefinitions.*.linuxParameters.initProcessEnabled", json!(false)),
        ("containerDefinitions.*.healthCheck.interval", json!(30)),
        ("containerDefinitions.*.healthCheck.timeout", json!(5)),
        ("containerDefinitions.*.healthCheck.retries", json!(3)),
        ("containerDefinitions.*.healthCheck.startPeriod", json!(0)),
        ("containerDefinitions.*.mountPoints.*.readOnly", json!(false)),
        ("strategy", json!("ROLLING")),
        ("maximumPercent", json!(200)),
        ("minimumHealthyPercent", json!(100)),
        ("bakeTimeInMinutes", json!(0)),
        ("deploymentCircuitBreaker.enable", json!(false)),
        ("deploymentCircuitBreaker.rollback", json!(false)),
        ("deploymentCircuitBreaker.resetOnHealthyTask", json!(false)),
        ("alarms.enable", json!(false)),
        ("alarms.rollback", json!(false)),
    ]
}

/// Every leaf by its path, in the one form. Lists of texts, such as a command, are leaves.
pub(super) fn leaves(shape: &Value) -> BTreeMap<String, Value> {
    let mut shape = shape.clone();
    if let Value::Object(fields) = &mut shape {
        for name in ANSWERED {
            fields.remove(name);
        }
        for (name, unit) in [("cpu", 1024.0), ("memory", 1024.0)] {
            if let Some(Value::String(text)) = fields.get_mut(name) {
                *text = in_units(text, unit);
            }
        }
    }
    let shape = keyed(shape);
    let mut leaves = BTreeMap::new();
    collect(&shape, &mut Vec::new(), &mut leaves);
    let defaults = defaults();
    leaves.retain(|path, value| !defaults.iter().any(|(pattern, default)| value == default && matches(pattern, path)));
    leaves.into_iter().map(|(path, value)| (path.join("."), value)).collect()
}

/// `1 vCPU` and `0.5 GB` as the number of units that they are; numbers stay.
fn in_units(text: &str, unit: f64) -> String {
    let lower = text.trim().to_lowercase();
    let number = lower.strip_suffix("vcpu").or_else(|| lower.strip_suffix("gb")).map(str::trim);
    match number.and_then(|number| number.parse::<f64>().ok()) {
        Some(number) => format!("{}", (number * unit).round()),
        None => text.to_owned(),
    }
}

fn keyed(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| keyed_field(name, value)).collect())
        }
        Value::Array(entries) => Value::Array(entries.into_iter().map(keyed).collect()),
        other => other,
    }
}

fn keyed_field(name: String, value: Value) -> (String, Value) {
    let Value::Array(mut entries) = value else { return (name, keyed(value)) };
    if SETS.contains(&name.as_str()) {
        entries.sort_by_key(ToString::to_string);
    }
    let key = NAMED.iter().find(|(list, _)| *list == name).map(|(_, key)| *key);
    let Some(key) = key.filter(|_| entries.iter().all(Value::is_object)) else {
        return (name, keyed(Value::Array(entries)));
    };
    let mut map = Map::new();
    for entry in entries {
        let Value::Object(mut fields) = entry else { continue };
        let own = match fields.remove(key) {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        // On Fargate the host's port is the container's.
        if fields
            .get("hostPort")
            .is_some_and(|port| *port == own || port.as_u64().is_some_and(|port| own.parse() == Ok(port)))
        {
            fields.remove("hostPort");
        }
        let only = |name: &str| if fields.len() == 1 { fields.get(name).cloned() } else { None };
        let value = match only("value").or_else(|| only("valueFrom")) {
            Some(value) => value,
            None => keyed(Value::Object(fields)),
        };
        map.insert(own, value);
    }
    // A port that is mapped without a word more is still mapped.
    if name == "portMappings" {
        for fields in map.values_mut().filter_map(Value::as_object_mut) {
            fields.entry("protocol").or_insert_with(|| json!("tcp"));
        }
    }
    (name, Value::Object(map))
}

fn collect(value: &Value, path: &mut Vec<String>, leaves: &mut BTreeMap<Vec<String>, Value>) {
    match value {
        Value::Null => {}
        Value::Array(entries) if entries.is_empty() => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name.clone());
                collect(value, path, leaves);
                path.pop();
            }
        }
        leaf => {
            leaves.insert(path.clone(), leaf.clone());
        }
    }
}

fn matches(pattern: &str, path: &[String]) -> bool {
    let mut names = path.iter();
    pattern.split('.').all(|part| names.next().is_some_and(|name| part == "*" || part == name))
        && names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ECS answers for a registration that says only what it must, as its API reference and its answers have it.
    fn answered() -> Value {
        json!({
            "taskDefinitionArn": "arn:aws:ecs:eu-central-1:123456789012:task-definition/backend:7",
            "family": "backend", "revision": 7, "status": "ACTIVE", "registeredAt": 1.5, "registeredBy": "someone",
            "requiresAttributes": [{"name": "ecs.capability.execution-role-awslogs"}], "compatibilities": ["EC2", "FARGATE"],
            "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "volumes": [], "placementConstraints": [], "enableFaultInjection": false,
            "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
            "containerDefinitions": [{
                "name": "backend", "image": "app@sha256:1", "cpu": 0, "essential": true, "mountPoints": [],
                "volumesFrom": [], "systemControls": [], "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
                "portMappings": [{"containerPort": 3001, "hostPort": 3001, "protocol": "tcp"}],
                "healthCheck": {"command": ["CMD", "ok"], "interval": 30, "timeout": 5, "retries": 3},
                "secrets": [{"name": "S", "valueFrom": "arn:s"}],
            }],
        })
    }

    fn asked() -> Value {
        json!({
            "family": "backend", "cpu": "0.25 vCPU", "memory": "0.5 GB",
            "containerDefinitions": [{
                "name": "backend", "image": "app@sha256:1", "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "portMappings": [{"containerPort": 3001}], "healthCheck": {"command": ["CMD", "ok"]}, "stopTimeout": 30,
                "secrets": [{"name": "S", "valueFrom": "arn:s"}],
            }],
        })
    }

    #[test]
    fn what_ecs_adds_is_no_difference() {
        assert_eq!(leaves(&answered()), leaves(&asked()));
        let all = leaves(&asked());
        assert_eq!(all["containerDefinitions.backend.environment.A"], json!("1"));
        assert_eq!(all["containerDefinitions.backend.secrets.S"], json!("arn:s"));
        assert_eq!(all["containerDefinitions.backend.portMappings.3001.protocol"], json!("tcp"));
        assert_eq!((&all["cpu"], &all["memory"]), (&json!("256"), &json!("512")));
    }

    #[test]
    fn what_is_not_the_default_stays() {
        let mut other = answered();
        other["containerDefinitions"][0]["essential"] = json!(false);
        other["containerDefinitions"][0]["healthCheck"]["interval"] = json!(10);
        other["volumes"] = json!([{"name": "data", "host": {}}]);
        other["runtimePlatform"]["cpuArchitecture"] = json!("ARM64");
        let (plain, other) = (leaves(&answered()), leaves(&other));
        let more: Vec<&String> = other.keys().filter(|path| !plain.contains_key(*path)).collect();
        assert_eq!(
            more,
            [
                "containerDefinitions.backend.essential",
                "containerDefinitions.backend.healthCheck.interval",
                "runtimePlatform.cpuArchitecture",
            ]
        );
    }

    #[test]
    fn every_default_is_taken_away_where_it_stands() {
        for (pattern, default) in defaults() {
            let mut value = default.clone();
            for name in pattern.split('.').rev() {
                let name = if name == "*" { "one" } else { name };
                let mut map = Map::new();
                map.insert(name.to_owned(), value);
                value = Value::Object(map);
            }
            assert!(leaves(&value).is_empty(), "{pattern} stays: {:?}", leaves(&value));
        }
    }

    #[test]
    fn settings_of_a_service_have_their_defaults_too() {
        let live = json!({
            "maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING", "bakeTimeInMinutes": 0,
            "deploymentCircuitBreaker": {"enable": true, "rollback": true}, "alarms": {"alarmNames": [], "enable": false, "rollback": false},
        });
        let all = leaves(&live);
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            ["deploymentCircuitBreaker.enable", "deploymentCircuitBreaker.rollback"]
        );
    }
}

//! What a file need not say, and what it must not say together.

use std::net::IpAddr;

use super::problem::Problem;
use super::tree::{Map, Node, Value};

/// Sets what has a default value in a merged document.
pub(super) fn set(document: &mut Node) {
    for section in ["services", "jobs"] {
        for (_, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            let Some(service) = node.as_map_mut() else { continue };
            if let Some(build) = service.get_mut("build") {
                default(build, "context", Value::Text(".".to_owned()));
            }
            for node in service.list_mut("secrets") {
                let source = node.at(&["source"]).and_then(Node::scalar).unwrap_or_default();
                default(node, "target", Value::Text(format!("/run/secrets/{source}")));
            }
            for node in service.list_mut("ports") {
                default(node, "protocol", Value::Text("tcp".to_owned()));
                default(node, "mode", Value::Text("ingress".to_owned()));
            }
            service.list_mut("gpus").iter_mut().for_each(all_devices);
            for node in service.list_mut("volumes") {
                if let Some(bind) = node.as_map_mut().and_then(|map| map.get_mut("bind")) {
                    default(bind, "create_host_path", Value::Bool(true));
                }
            }
            let reservations = ["deploy", "resources", "reservations"]
                .iter()
                .try_fold(service, |map, key| map.get_mut(key)?.as_map_mut());
            if let Some(reservations) = reservations {
                reservations.list_mut("devices").iter_mut().for_each(all_devices);
            }
        }
    }
}

fn all_devices(node: &mut Node) {
    if node.at(&["device_ids"]).is_none() {
        default(node, "count", Value::Text("all".to_owned()));
    }
}

fn default(node: &mut Node, key: &str, value: Value) {
    let place = node.place.clone();
    if let Some(map) = node.as_map_mut()
        && !map.contains(key)
    {
        map.set(key, Node::new(value, place));
    }
}

/// What the schema can't say: values that exclude or need each other.
pub(super) fn check(document: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, volume) in section(document, "volumes") {
        let Some(map) = volume.as_map() else { continue };
        if map.get("external").is_some_and(|node| node.value == Value::Bool(true)) {
            for (key, entry) in map.entries() {
                if !matches!(key, "name" | "external") && !key.starts_with("x-") {
                    problems.push(
                        Problem::new(&entry.key, format!("the volume `{name}` is external, so it can't have `{key}`"))
                            .hint("Take out `external`, or what describes the volume."),
                    );
                }
            }
        }
    }
    for (kind, keys) in [("configs", &["file", "environment", "content"][..]), ("secrets", &["file", "environment"])] {
        for (name, resource) in section(document, kind) {
            let Some(map) = resource.as_map() else { continue };
            let word = kind.trim_end_matches('s');
            let found: Vec<&str> = keys.iter().filter(|key| map.contains(key)).copied().collect();
            let choice = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            if found.len() > 1 {
                let place = map.key(found[1]).unwrap_or(&resource.place);
                let message =
                    format!("the {word} `{name}` has `{}` and `{}`; only one can hold it", found[0], found[1]);
                problems.push(Problem::new(place, message).hint("Take out one of the two."));
            } else if found.is_empty() && !map.contains("driver") && !map.contains("external") {
                let message = format!("the {word} `{name}` must have one of {choice}");
                let hint = format!("Write `file: ./{name}`, or `external: true` where it exists already.");
                problems.push(Problem::new(&resource.place, message).hint(hint));
            }
        }
    }
    for (_, service) in section(document, "services") {
        for port in elements(service, &["ports"]) {
            if let Some(node) = port.at(&["host_ip"])
                && let Some(address) = node.scalar()
                && address.parse::<IpAddr>().is_err()
            {
                let problem = Problem::new(&node.place, format!("`{address}` is no address"));
                problems.push(problem.hint("Write an address such as 127.0.0.1, or leave `host_ip` out for all."));
            }
        }
        for rule in elements(service, &["develop", "watch"]) {
            if let Some(path) = rule.at(&["path"])
                && path.as_text() == Some("")
            {
                problems.push(
                    Problem::new(&path.place, "`path` must not be empty").hint("Write `.` for the whole folder."),
                );
            }
        }
        let reserved = elements(service, &["deploy", "resources", "reservations", "devices"]);
        for device in reserved.iter().chain(elements(service, &["gpus"])) {
            if let (Some(map), Some(ids)) = (device.as_map(), device.at(&["device_ids"]))
                && map.contains("count")
            {
                let problem = Problem::new(&ids.place, "`count` and `device_ids` exclude each other");
                problems.push(problem.hint("Take out one of the two."));
            }
        }
        for mount in elements(service, &["volumes"]) {
            if mount.at(&["type"]).and_then(Node::as_text) == Some("bind") && mount.at(&["source"]).is_none() {
                let problem = Problem::new(&mount.place, "a mount of type `bind` must have a `source`");
                problems.push(problem.hint("Write `source: ./folder`, or `type: volume`."));
            }
        }
    }
    problems
}

fn section<'n>(document: &'n Node, key: &str) -> impl Iterator<Item = (&'n str, &'n Node)> {
    document.at(&[key]).and_then(Node::as_map).into_iter().flat_map(Map::iter)
}

fn elements<'n>(node: &'n Node, path: &[&str]) -> &'n [Node] {
    node.at(path).and_then(Node::as_list).unwrap_or_default()
}

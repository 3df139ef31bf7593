//! One file over another, and a service over the one that it extends.
//!
//! The rules are those of <https://docs.docker.com/reference/compose-file/merge/>: mappings merge, lists append,
//! scalars are replaced; some keys have rules of their own, and some lists have at most one element for each key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::problem::{Outcome, Problem};
use super::short;
use super::tree::{Map, Mark, Node, Value};

/// Merges a whole document over another one.
pub(super) fn documents(base: Node, over: Node) -> Outcome<Node> {
    node(base, over, &mut Vec::new())
}

/// Merges an element of a section, such as a service, over another one.
pub(super) fn element(section: &str, base: Node, over: Node) -> Outcome<Node> {
    node(base, over, &mut vec![section.to_owned(), "*".to_owned()])
}

/// Ends the work of `!reset` and `!override`: takes out what is reset, and forgets the marks.
pub(super) fn settle(node: &mut Node) {
    node.mark = Mark::None;
    match &mut node.value {
        Value::Map(map) => map.retain(|_, node| {
            let stays = node.mark != Mark::Reset;
            settle(node);
            stays
        }),
        Value::List(list) => list.iter_mut().for_each(settle),
        _ => {}
    }
}

fn node(base: Node, over: Node, path: &mut Vec<String>) -> Outcome<Node> {
    if over.mark != Mark::None {
        return Ok(over);
    }
    if base.mark == Mark::Reset {
        return Ok(over);
    }
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    match rule(&keys) {
        Rule::Replace => return Ok(over),
        Rule::KeyValues => return Ok(key_values(base, over)),
        Rule::Sequence => {
            let place = over.place.clone();
            return Ok(Node::new(Value::List(append(sequence(base), sequence(over))), place));
        }
        Rule::Build => return mappings(as_build(base), as_build(over), path),
        Rule::DependsOn => return mappings(as_names(base, true)?, as_names(over, true)?, path),
        Rule::Names => return mappings(as_names(base, false)?, as_names(over, false)?, path),
        Rule::Logging => {
            let driver = |node: &Node| node.at(&["driver"]).cloned();
            if let (Some(base), Some(over_driver)) = (driver(&base), driver(&over))
                && base != over_driver
            {
                return Ok(over);
            }
        }
        Rule::Ulimit if base.as_map().is_none() || over.as_map().is_none() => return Ok(over),
        Rule::AddressPools => return Ok(address_pools(base, over)),
        Rule::Ulimit | Rule::Usual => {}
    }
    if over.is_null() {
        return Ok(base);
    }
    match (&base.value, &over.value) {
        (Value::Map(_), Value::Map(_)) => mappings(base, over, path),
        (Value::List(_), Value::List(_)) => {
            let place = over.place.clone();
            Ok(Node::new(Value::List(append(sequence(base), sequence(over))), place))
        }
        (Value::Map(_) | Value::List(_), _) => Err(Problem::new(
            &over.place,
            format!(
                "this is {}, and {} in {}:{}, which it is merged over",
                over.kind(),
                base.kind(),
                base.place.source.path.display(),
                base.place.line
            ),
        )
        .hint("Write both in the same form, or replace the earlier one with the tag `!override`.")),
        _ => Ok(over),
    }
}

fn mappings(mut base: Node, over: Node, path: &mut Vec<String>) -> Outcome<Node> {
    let place = over.place;
    let (Value::Map(map), Value::Map(other)) = (&mut base.value, over.value) else {
        return Ok(base);
    };
    for (key, mut entry) in other.into_entries() {
        if let Some(earlier) = map.remove(&key) {
            path.push(key);
            entry.node = node(earlier.node, entry.node, path)?;
            let key = path.pop().unwrap_or_default();
            map.insert(key, entry);
        } else {
            map.insert(key, entry);
        }
    }
    base.place = place;
    Ok(base)
}

#[derive(Clone, Copy)]
enum Rule {
    /// Mappings merge, lists append, scalars are replaced.
    Usual,
    /// The later one alone.
    Replace,
    /// `NAME=value` by name, as a mapping or a list.
    KeyValues,
    /// Lists append, and a single value is a list of one.
    Sequence,
    /// A text is the context.
    Build,
    /// A list of names is a mapping with the defaults of a dependency.
    DependsOn,
    /// A list of names is a mapping to nothing.
    Names,
    /// Options merge only for the same driver.
    Logging,
    /// Soft and hard limits merge; a single number is replaced.
    Ulimit,
    /// By subnet.
    AddressPools,
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["networks", _, "ipam", "config"] => Rule::AddressPools,
        ["networks" | "volumes" | "secrets" | "configs", _, "labels"] | ["services", _, "deploy", "labels"] => {
            Rule::KeyValues
        }
        ["services" | "jobs", _, rest @ ..] => match rest {
            ["command" | "entrypoint"] | ["healthcheck", "test"] => Rule::Replace,
            ["annotations" | "environment" | "labels" | "sysctls"]
            | ["build", "args" | "additional_contexts" | "labels"] => Rule::KeyValues,
            ["dns" | "dns_opt" | "dns_search" | "env_file" | "label_file" | "extra_hosts" | "tmpfs"]
            | ["build", "extra_hosts"] => Rule::Sequence,
            ["build"] => Rule::Build,
            ["depends_on"] => Rule::DependsOn,
            ["networks" | "models"] => Rule::Names,
            ["logging"] => Rule::Logging,
            ["ulimits", _] => Rule::Ulimit,
            _ => Rule::Usual,
        },
        _ => Rule::Usual,
    }
}

/// Appends what is not there already, in the same form.
fn append(mut base: Vec<Node>, over: Vec<Node>) -> Vec<Node> {
    for node in over {
        if !base.contains(&node) {
            base.push(node);
        }
    }
    base
}

/// A mapping as `KEY=value` texts, a scalar as a list of one.
fn sequence(node: Node) -> Vec<Node> {
    match node.value {
        Value::List(list) => list,
        Value::Map(map) => {
            let mut list = Vec::new();
            for (key, entry) in map.into_entries() {
                let values = match entry.node.value {
                    Value::List(values) => values,
                    value => vec![Node { value, ..entry.node }],
                };
                for node in values {
                    let text = node.scalar().map_or_else(|| key.clone(), |value| format!("{key}={value}"));
                    list.push(Node::text(text, &entry.key));
                }
            }
            list
        }
        Value::Null => Vec::new(),
        value => vec![Node { value, ..node }],
    }
}

fn key_values(mut base: Node, over: Node) -> Node {
    let place = over.place.clone();
    if over.as_map().is_some()
        && let Some(map) = base.as_map_mut()
    {
        // Here nothing is a value too: the variable is taken from outside.
        if let Value::Map(other) = over.value {
            for (key, entry) in other.into_entries() {
                map.insert(key, entry);
            }
        }
        base.place = place;
        return base;
    }
    let mut list = sequence(base);
    list.extend(sequence(over));
    unique(&mut list, key_of);
    Node::new(Value::List(list), place)
}

fn as_build(node: Node) -> Node {
    match node.value {
        Value::Text(_) => {
            let mut map = Map::default();
            let place = node.place.clone();
            map.set("context", node);
            Node::new(Value::Map(map), place)
        }
        Value::Null => Node::map(&node.place),
        _ => node,
    }
}

/// A list of names as a mapping; for dependencies with what a bare name means.
fn as_names(node: Node, dependencies: bool) -> Outcome<Node> {
    let list = match node.value {
        Value::List(list) => list,
        Value::Text(_) => vec![node.clone()],
        Value::Null => Vec::new(),
        Value::Map(_) => return Ok(node),
        _ => {
            return Err(Problem::new(
                &node.place,
                format!("a list of names must be here, and this is {}", node.kind()),
            ));
        }
    };
    let mut map = Map::default();
    for name in list {
        let Some(text) = name.as_text() else {
            return Err(Problem::new(&name.place, format!("a name must be here, and this is {}", name.kind())));
        };
        let value = if dependencies { short::dependency(&name.place) } else { Node::null(&name.place) };
        map.set(text, value);
    }
    Ok(Node::new(Value::Map(map), node.place))
}

/// Pools of the same subnet merge, others are added.
fn address_pools(base: Node, over: Node) -> Node {
    let place = over.place.clone();
    let mut pools = sequence(base);
    for pool in sequence(over) {
        let subnet = pool.at(&["subnet"]).cloned();
        match pools.iter_mut().find(|known| known.at(&["subnet"]).cloned() == subnet) {
            Some(known) => match (&mut known.value, pool.value) {
                (Value::Map(map), Value::Map(other)) => {
                    for (key, entry) in other.into_entries() {
                        map.insert(key, entry);
                    }
                }
                (known, other) => *known = other,
            },
            None => pools.push(pool),
        }
    }
    Node::new(Value::List(pools), place)
}

/// Leaves one element for each key: the last one, in the place of the first one.
fn unique(list: &mut Vec<Node>, key: impl Fn(&Node) -> Option<String>) {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Node> = Vec::new();
    for node in list.drain(..) {
        match key(&node).map(|key| places.entry(key)) {
            Some(Entry::Occupied(place)) => kept[*place.get()] = node,
            Some(Entry::Vacant(place)) => {
                place.insert(kept.len());
                kept.push(node);
            }
            None => kept.push(node),
        }
    }
    *list = kept;
}

/// Leaves one element for each key in every list of a document that has keys.
pub(super) fn make_unique(document: &mut Node) {
    if let Some(networks) = document.section_mut("networks") {
        for (_, network) in networks.iter_mut() {
            unique_at(network, &["labels"], key_of);
            unique_at(network, &["ipam", "options"], key_of);
        }
    }
    let Some(services) = document.section_mut("services") else { return };
    for (_, service) in services.iter_mut() {
        for name in [
            "annotations",
            "cap_add",
            "cap_drop",
            "dns",
            "dns_opt",
            "dns_search",
            "environment",
            "labels",
            "links",
            "profiles",
            "sysctls",
            "tmpfs",
        ] {
            unique_at(service, &[name], key_of);
        }
        for name in ["args", "additional_contexts", "platform", "tags", "labels"] {
            unique_at(service, &["build", name], key_of);
        }
        unique_at(service, &["deploy", "labels"], key_of);
        unique_at(service, &["configs"], |node| mount(node, ""));
        unique_at(service, &["secrets"], |node| mount(node, "/run/secrets"));
        unique_at(service, &["devices"], device);
        unique_at(service, &["env_file"], |node| node.at(&["path"]).unwrap_or(node).scalar());
        unique_at(service, &["expose"], Node::scalar);
        unique_at(service, &["ports"], port);
        unique_at(service, &["volumes"], volume);
        if let Some(networks) = service.section_mut("networks") {
            for (_, network) in networks.iter_mut() {
                unique_at(network, &["aliases"], key_of);
                unique_at(network, &["link_local_ips"], key_of);
            }
        }
    }
}

fn unique_at(node: &mut Node, path: &[&str], key: impl Fn(&Node) -> Option<String>) {
    let target = path.iter().try_fold(node, |node, key| node.as_map_mut()?.get_mut(key));
    if let Some(Node { value: Value::List(list), .. }) = target {
        unique(list, key);
    }
}

fn key_of(node: &Node) -> Option<String> {
    node.as_text().map(|text| text.split('=').next().unwrap_or(text).to_owned())
}

fn mount(node: &Node, folder: &str) -> Option<String> {
    match node.as_text() {
        Some(text) => Some(format!("{folder}/{text}")),
        None => node
            .at(&["target"])
            .map_or_else(|| Some(format!("{folder}/{}", node.at(&["source"])?.scalar()?)), Node::scalar),
    }
}

fn device(node: &Node) -> Option<String> {
    match node.as_text() {
        Some(text) => {
            let mut parts = text.split(':');
            let source = parts.next()?;
            Some(parts.next().unwrap_or(source).to_owned())
        }
        None => node.at(&["target"])?.scalar(),
    }
}

fn volume(node: &Node) -> Option<String> {
    match node.as_text() {
        Some(text) => short::volume(text, &node.place).ok()?.at(&["target"])?.scalar(),
        None => node.at(&["target"])?.scalar(),
    }
}

fn port(node: &Node) -> Option<String> {
    if node.as_map().is_none() {
        return node.scalar();
    }
    let part =
        |name: &str, default: &str| node.at(&[name]).and_then(Node::scalar).unwrap_or_else(|| default.to_owned());
    node.at(&["target"])?;
    Some(format!(
        "{}:{}:{}/{}",
        part("host_ip", "0.0.0.0"),
        part("published", ""),
        part("target", ""),
        part("protocol", "tcp")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::compose::decode;
    use crate::stack::compose::tree::Source;
    use crate::stack::compose::yaml;
    use serde_json::{Value as Json, json};
    use std::path::PathBuf;
    use std::rc::Rc;

    fn read(text: &str) -> Node {
        let source = Source { path: PathBuf::from("compose.yaml"), text: text.to_owned(), private: false };
        yaml::parse(&Rc::new(source)).unwrap().remove(0)
    }

    fn merged(base: &str, over: &str) -> Json {
        let mut document = documents(read(base), read(over)).unwrap();
        settle(&mut document);
        make_unique(&mut document);
        decode::json(&document)
    }

    fn service(base: &str, over: &str) -> Json {
        let wrap = |text: &str| format!("services: {{a: {text}}}");
        merged(&wrap(base), &wrap(over))["services"]["a"].clone()
    }

    #[test]
    fn mappings_merge_lists_append_scalars_are_replaced() {
        let found = service(
            "{image: x, cap_add: [A, B], deploy: {replicas: 1, mode: m}}",
            "{image: y, cap_add: [B, C], deploy: {replicas: 2}}",
        );
        assert_eq!(found, json!({"image": "y", "cap_add": ["A", "B", "C"], "deploy": {"replicas": 2, "mode": "m"}}));
    }

    #[test]
    fn nothing_changes_nothing_but_a_command() {
        let found = service("{image: x, command: a, entrypoint: b}", "{image: , command: , entrypoint: }");
        assert_eq!(found, json!({"image": "x", "command": null, "entrypoint": null}));
    }

    #[test]
    fn forms_of_key_values_meet() {
        let found = service("{environment: {A: 1, B: 2}}", "{environment: [B=3, C]}");
        assert_eq!(found, json!({"environment": ["A=1", "B=3", "C"]}));
        let found = service("{environment: {A: 1, B: 2}}", "{environment: {B: , C: 4}}");
        assert_eq!(found, json!({"environment": {"A": 1, "B": null, "C": 4}}));
    }

    #[test]
    fn the_last_element_of_a_key_stands_in_the_place_of_the_first() {
        let found = service(
            "{volumes: ['./a:/x', './b:/y'], ports: ['80:80']}",
            "{volumes: ['./c:/x'], ports: ['80:80', '81:81']}",
        );
        assert_eq!(found, json!({"volumes": ["./c:/x", "./b:/y"], "ports": ["80:80", "81:81"]}));
    }

    #[test]
    fn reset_takes_back_and_override_replaces() {
        let base = "{image: x, ports: ['80:80'], environment: {A: 1, B: 2}, labels: {a: b}}";
        let over = "{ports: !override ['81:81'], environment: {A: !reset null}, labels: !reset {}}";
        assert_eq!(service(base, over), json!({"image": "x", "ports": ["81:81"], "environment": {"B": 2}}));
    }

    #[test]
    fn options_of_another_driver_are_not_kept() {
        let base = "{logging: {driver: one, options: {a: b}}}";
        assert_eq!(service(base, "{logging: {options: {c: d}}}")["logging"]["options"], json!({"a": "b", "c": "d"}));
        assert_eq!(service(base, "{logging: {driver: two}}"), json!({"logging": {"driver": "two"}}));
    }

    #[test]
    fn address_pools_merge_by_subnet() {
        let wrap = |pools: &str| format!("networks: {{n: {{ipam: {{config: {pools}}}}}}}");
        let found =
            merged(&wrap("[{subnet: a, gateway: g}, {subnet: b}]"), &wrap("[{subnet: a, ip_range: r}, {subnet: c}]"));
        let pools = json!([{"subnet": "a", "gateway": "g", "ip_range": "r"}, {"subnet": "b"}, {"subnet": "c"}]);
        assert_eq!(found["networks"]["n"]["ipam"]["config"], pools);
    }

    #[test]
    fn different_forms_that_can_not_meet_are_told_with_both_places() {
        let problem =
            documents(read("services: {a: {ports: [1]}}"), read("services: {a: {ports: {b: c}}}")).unwrap_err();
        assert_eq!((problem.place.line, problem.place.column), (1, 23));
        assert!(problem.message.contains("compose.yaml:1"), "{}", problem.message);
    }
}

//! Every short form written out, so that what follows meets one form only.

use super::problem::{Outcome, Problem};
use super::short;
use super::tree::{Map, Node, Place, Value};

/// Writes out a merged document; what can't be read is among the problems.
pub(super) fn document(document: &mut Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    for section in ["services", "jobs"] {
        for (_, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            if let Some(service) = node.as_map_mut() {
                container(service, &mut problems);
                workload(service, &mut problems);
                for node in service.list_mut("pre_start") {
                    if let Some(hook) = node.as_map_mut() {
                        container(hook, &mut problems);
                    }
                }
            }
        }
    }
    for section in ["volumes", "networks", "secrets", "configs"] {
        for (name, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            if let Some(resource) = node.as_map_mut() {
                problems.extend(external(resource, section, name).err());
            }
        }
    }
    problems
}

/// What everything has that declares a container: services, jobs, hooks.
fn container(service: &mut Map, problems: &mut Vec<Problem>) {
    for name in ["env_file", "label_file", "dns"] {
        as_list(service, name);
    }
    // An empty name server says nothing; it comes from a variable that is not set.
    if let Some(Node { value: Value::List(list), .. }) = service.get_mut("dns") {
        list.retain(|node| !node.is_null() && node.as_text() != Some(""));
    }
    for node in service.list_mut("env_file") {
        let place = node.place.clone();
        if node.as_text().is_some() {
            let path = std::mem::replace(node, Node::map(&place));
            if let Some(map) = node.as_map_mut() {
                map.set("path", path);
            }
        }
        if let Some(map) = node.as_map_mut()
            && !map.contains("required")
        {
            map.set("required", Node::bool(true, &place));
        }
    }
    if let Some(gpus) = service.get_mut("gpus")
        && gpus.as_text().is_some()
    {
        let mut all = Node::map(&gpus.place);
        if let Some(map) = all.as_map_mut() {
            map.set("count", gpus.clone());
        }
        gpus.value = Value::List(vec![all]);
    }
    for name in ["networks", "models"] {
        if let Some(node) = service.get_mut(name)
            && let Some(list) = node.as_list()
        {
            let mut map = Map::default();
            for name in list {
                if let Some(text) = name.as_text() {
                    map.set(text, Node::null(&name.place));
                }
            }
            node.value = Value::Map(map);
        }
    }
    expand(service, "volumes", problems, |text, place| short::volume(text, place).map(|node| vec![node]));
    expand(service, "devices", problems, |text, place| short::device(text, place).map(|node| vec![node]));
    for name in ["secrets", "configs"] {
        expand(service, name, problems, |text, place| Ok(vec![source(text, place)]));
    }
}

/// What services and jobs have besides.
fn workload(service: &mut Map, problems: &mut Vec<Problem>) {
    if let Some(build) = service.get_mut("build") {
        if let Value::Text(_) = build.value {
            let context = std::mem::replace(build, Node::map(&build.place.clone()));
            if let Some(map) = build.as_map_mut() {
                map.set("context", context);
            }
        }
        if let Some(build) = build.as_map_mut() {
            expand(build, "secrets", problems, |text, place| Ok(vec![source(text, place)]));
            problems.extend(key_values(build, "additional_contexts").err());
            problems.extend(ssh(build).err());
        }
    }
    if let Some(node) = service.get_mut("depends_on") {
        if let Some(list) = node.as_list() {
            let mut map = Map::default();
            for name in list {
                if let Some(text) = name.as_text() {
                    map.set(text, short::dependency(&name.place));
                }
            }
            node.value = Value::Map(map);
        }
        for (_, node) in node.as_map_mut().into_iter().flat_map(Map::iter_mut) {
            let place = node.place.clone();
            if let Some(dependency) = node.as_map_mut() {
                if !dependency.contains("condition") {
                    dependency.set("condition", Node::text("service_started", &place));
                }
                if !dependency.contains("required") {
                    dependency.set("required", Node::bool(true, &place));
                }
            }
        }
    }
    if let Some(extends) = service.get_mut("extends")
        && extends.as_text().is_some()
    {
        let name = std::mem::replace(extends, Node::map(&extends.place.clone()));
        if let Some(map) = extends.as_map_mut() {
            map.set("service", name);
        }
    }
    if let Some(Node { value: Value::List(list), .. }) = service.get_mut("ports") {
        for node in list {
            if let Value::Integer(number) = node.value {
                node.value = Value::Text(number.to_string());
            }
        }
    }
    expand(service, "ports", problems, short::ports);
    if let Some(develop) = service.get_mut("develop").and_then(Node::as_map_mut) {
        for node in develop.list_mut("watch") {
            if let Some(rule) = node.as_map_mut() {
                as_list(rule, "ignore");
                as_list(rule, "include");
            }
        }
    }
    if let Some(triggers) = service.get_mut("triggers").and_then(Node::as_map_mut) {
        expand(triggers, "schedule", problems, |text, place| {
            let mut map = Map::default();
            map.set("cron", Node::text(text, place));
            Ok(vec![Node::new(Value::Map(map), place.clone())])
        });
    }
}

fn as_list(map: &mut Map, key: &str) {
    if let Some(node) = map.get_mut(key)
        && node.as_text().is_some()
    {
        node.value = Value::List(vec![node.clone()]);
    }
}

/// Writes out each text of a list.
fn expand(map: &mut Map, key: &str, problems: &mut Vec<Problem>, read: impl Fn(&str, &Place) -> Outcome<Vec<Node>>) {
    let Some(Node { value: Value::List(list), .. }) = map.get_mut(key) else { return };
    let mut long = Vec::with_capacity(list.len());
    for node in list.drain(..) {
        match node.as_text() {
            Some(text) => match read(text, &node.place) {
                Ok(nodes) => long.extend(nodes),
                Err(problem) => problems.push(problem),
            },
            None => long.push(node),
        }
    }
    *list = long;
}

fn source(text: &str, place: &Place) -> Node {
    let mut map = Map::default();
    map.set("source", Node::text(text, place));
    Node::new(Value::Map(map), place.clone())
}

/// A list of `key=value` as a mapping.
fn key_values(map: &mut Map, key: &str) -> Outcome<()> {
    let Some(node) = map.get_mut(key) else { return Ok(()) };
    let Some(list) = node.as_list() else { return Ok(()) };
    let mut pairs = Map::default();
    for node in list {
        let Some((name, value)) = node.as_text().and_then(|text| text.split_once('=')) else {
            return Err(Problem::new(&node.place, format!("`{key}` wants `name=value` here")));
        };
        pairs.set(name, Node::text(value, &node.place));
    }
    node.value = Value::Map(pairs);
    Ok(())
}

/// SSH keys as a list of mappings, sorted by name.
fn ssh(build: &mut Map) -> Outcome<()> {
    let Some(node) = build.get_mut("ssh") else { return Ok(()) };
    let mut keys = Map::default();
    match &node.value {
        Value::List(list) => {
            for node in list {
                // It has been written out in an earlier file.
                if let Some(key) = node.as_map() {
                    if let Some(id) = key.get("id").and_then(Node::as_text) {
                        keys.set(id, key.get("path").cloned().unwrap_or_else(|| Node::null(&node.place)));
                    }
                    continue;
                }
                let text = node.scalar().unwrap_or_default();
                match text.split_once('=') {
                    Some((id, path)) => keys.set(id, Node::text(path, &node.place)),
                    None if text == "default" => keys.set(text, Node::null(&node.place)),
                    None => {
                        return Err(Problem::new(&node.place, format!("the SSH key `{text}` has no path"))
                            .hint("Write `name=path`, or `default` for the agent that is running."));
                    }
                }
            }
        }
        Value::Map(map) => keys = map.clone(),
        _ => return Ok(()),
    }
    node.value = Value::Map(keys);
    Ok(())
}

/// `external: {name: x}`, the old form of `name: x` and `external: true`.
fn external(resource: &mut Map, section: &str, name: &str) -> Outcome<()> {
    let Some(node) = resource.get("external") else { return Ok(()) };
    let Some(old) = node.as_map() else { return Ok(()) };
    let place = node.place.clone();
    let old_name = old.get("name").cloned();
    resource.set("external", Node::bool(true, &place));
    if let Some(old_name) = old_name {
        match resource.get("name") {
            Some(name_node) if *name_node != old_name => {
                return Err(Problem::new(&old_name.place, format!("`{section}.{name}` has two different names"))
                    .hint("Say `name` alone, and `external: true`."));
            }
            Some(_) => {}
            None => resource.set("name", old_name),
        }
    }
    Ok(())
}

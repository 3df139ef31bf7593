//! What a file implies made explicit: the default network, names, dependencies, values of variables; and the last texts
//! that stand for lists.

use std::collections::BTreeMap;

use super::merge;
use super::model::{Note, NoteKind};
use super::problem::{Outcome, Problem};
use super::schema;
use super::short;
use super::tree::{Map, Mark, Node, Place, Value};

/// Makes a written-out document explicit.
pub(super) fn document(
    document: &mut Node,
    name: &str,
    variables: &BTreeMap<String, String>,
    notes: &mut Vec<Note>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    networks(document);
    for section in ["services", "jobs"] {
        for (_, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            let place = node.place.clone();
            if node.is_null() {
                *node = Node::map(&place);
            }
            let Some(service) = node.as_map_mut() else { continue };
            build(service, variables);
            if let Some(environment) = service.get_mut("environment") {
                fill(environment, variables, true);
            }
            if service.get("pull_policy").and_then(Node::as_text) == Some("if_not_present") {
                service.set("pull_policy", Node::text("missing", &place));
            }
            dependencies(service, &place);
            for mount in service.list_mut("volumes") {
                if let Some(Node { value: Value::Text(target), .. }) =
                    mount.as_map_mut().and_then(|map| map.get_mut("target"))
                {
                    *target = short::clean(target);
                }
            }
            problems.extend(hooks(service).err());
            finish_service(service, notes, &mut problems);
        }
    }
    names(document, name);
    problems
}

/// A service that names no network joins `default`, which is there as soon as somebody joins it.
fn networks(document: &mut Node) {
    let mut default_used: Option<Place> = None;
    for section in ["services", "jobs"] {
        for (_, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            let place = node.place.clone();
            if node.is_null() {
                *node = Node::map(&place);
            }
            let Some(service) = node.as_map_mut() else { continue };
            if service.contains("provider") || service.contains("network_mode") {
                continue;
            }
            let joined = service.get("networks").and_then(Node::as_map);
            if joined.is_none_or(Map::is_empty) {
                let mut networks = Node::map(&place);
                if let Some(map) = networks.as_map_mut() {
                    map.set("default", Node::null(&place));
                }
                service.set("networks", networks);
                default_used = Some(place);
            } else if joined.is_some_and(|map| map.contains("default")) {
                default_used = Some(place);
            }
        }
    }
    let (Some(place), Some(top)) = (default_used, document.as_map_mut()) else { return };
    if top.get("networks").and_then(Node::as_map).is_none() {
        top.set("networks", Node::map(&place));
    }
    if let Some(networks) = top.get_mut("networks").and_then(Node::as_map_mut)
        && !networks.contains("default")
    {
        networks.set("default", Node::null(&place));
    }
}

fn build(service: &mut Map, variables: &BTreeMap<String, String>) {
    let Some(node) = service.get_mut("build") else { return };
    let place = node.place.clone();
    let Some(build) = node.as_map_mut() else { return };
    if build.get("context").is_none_or(Node::is_null) {
        build.set("context", Node::text(".", &place));
    }
    let missing = |map: &Map, key: &str| map.get(key).is_none_or(Node::is_null);
    if missing(build, "dockerfile") && missing(build, "dockerfile_inline") {
        build.set("dockerfile", Node::text("Dockerfile", &place));
    }
    if let Some(arguments) = build.get_mut("args") {
        fill(arguments, variables, false);
    }
}

/// Gives variables without a value the one that the environment has.
fn fill(node: &mut Node, variables: &BTreeMap<String, String>, keep_unset: bool) {
    match &mut node.value {
        Value::Map(map) => map.retain(|name, node| {
            if node.is_null()
                && let Some(value) = variables.get(name)
            {
                node.value = Value::Text(value.clone());
            }
            keep_unset || !node.is_null()
        }),
        Value::List(list) => list.retain_mut(|node| {
            let Some(name) = node.as_text().filter(|text| !text.contains('=')) else { return true };
            match variables.get(name) {
                Some(value) => node.value = Value::Text(format!("{name}={value}")),
                None => return keep_unset,
            }
            true
        }),
        _ => {}
    }
}

/// The same for a document that is included, whose variables are its own. Compose does this for lists alone.
pub(super) fn fill_listed_environments(document: &mut Node, variables: &BTreeMap<String, String>) {
    for section in ["services", "jobs"] {
        for (_, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            if let Some(environment) = node.as_map_mut().and_then(|map| map.get_mut("environment"))
                && environment.as_list().is_some()
            {
                fill(environment, variables, true);
            }
        }
    }
}

/// Links, shared namespaces and shared volumes are dependencies as well.
fn dependencies(service: &mut Map, place: &Place) {
    let mut implied: Vec<(String, bool, Place)> = Vec::new();
    for link in service.list_mut("links") {
        let text = link.scalar().unwrap_or_default();
        implied.push((text.split(':').next().unwrap_or_default().to_owned(), true, link.place.clone()));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        if let Some(node) = service.get(key)
            && let Some(name) = node.as_text().and_then(|text| text.strip_prefix("service:"))
        {
            implied.push((name.to_owned(), true, node.place.clone()));
        }
    }
    for from in service.list_mut("volumes_from") {
        let text = from.scalar().unwrap_or_default();
        if !text.starts_with("container:") {
            implied.push((text.split(':').next().unwrap_or_default().to_owned(), false, from.place.clone()));
        }
    }
    if implied.is_empty() {
        return;
    }
    if service.get("depends_on").and_then(Node::as_map).is_none() {
        service.set("depends_on", Node::map(place));
    }
    let Some(depends_on) = service.get_mut("depends_on").and_then(Node::as_map_mut) else { return };
    for (name, restart, place) in implied {
        if !depends_on.contains(&name) {
            let mut dependency = short::dependency(&place);
            if let Some(map) = dependency.as_map_mut() {
                map.set("restart", Node::bool(restart, &place));
            }
            depends_on.set(name, dependency);
        }
    }
}

/// A hook before the start has what its service has, but volumes, and says for itself what differs.
fn hooks(service: &mut Map) -> Outcome<()> {
    if service.list_mut("pre_start").is_empty() {
        return Ok(());
    }
    let mut base = Map::default();
    for (key, entry) in service.entries() {
        if key != "volumes" && schema::is_container_key(key) {
            base.insert(key.to_owned(), entry.clone());
        }
    }
    for hook in service.list_mut("pre_start") {
        let base = Node { value: Value::Map(base.clone()), place: hook.place.clone(), mark: Mark::None };
        *hook = merge::element("services", base, hook.clone())?;
    }
    Ok(())
}

/// Resources without a name are named after the project and their key.
fn names(document: &mut Node, project: &str) {
    for section in ["networks", "volumes", "configs", "secrets"] {
        for (key, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            let place = node.place.clone();
            if node.is_null() {
                *node = Node::map(&place);
            }
            let Some(resource) = node.as_map_mut() else { continue };
            if resource.get("name").is_none_or(Node::is_null) {
                let external = resource.get("external").is_some_and(|node| node.value == Value::Bool(true));
                let name = if external { key.to_owned() } else { format!("{project}_{key}") };
                resource.set("name", Node::text(name, &place));
            }
        }
    }
}

/// The texts that stand for lists and numbers, which the types have no form for.
fn finish_service(service: &mut Map, notes: &mut Vec<Note>, problems: &mut Vec<Problem>) {
    for key in ["command", "entrypoint"] {
        problems.extend(command(service, key, notes).err());
    }
    problems.extend(hosts(service).err());
    let build = service.get_mut("build").and_then(Node::as_map_mut);
    if let Some(build) = build {
        problems.extend(hosts(build).err());
        for key in ["provenance", "sbom"] {
            if let Some(node) = build.get_mut(key)
                && let Some(text) = node.scalar()
            {
                node.value = Value::Text(text);
            }
        }
        if let Some(ssh) = build.get_mut("ssh")
            && let Some(keys) = ssh.as_map()
        {
            let list = keys.iter().map(|(id, path)| {
                let mut map = Map::default();
                map.set("id", Node::text(id, &path.place));
                map.set("path", path.clone());
                Node::new(Value::Map(map), path.place.clone())
            });
            ssh.value = Value::List(list.collect());
        }
    }
    if let Some(test) = service.get_mut("healthcheck").and_then(Node::as_map_mut).and_then(|map| map.get_mut("test"))
        && test.as_text().is_some()
    {
        test.value = Value::List(vec![Node::text("CMD-SHELL", &test.place), test.clone()]);
    }
    for hook in ["post_start", "pre_stop"] {
        for node in service.list_mut(hook) {
            if let Some(map) = node.as_map_mut() {
                problems.extend(command(map, "command", notes).err());
            }
        }
    }
    for node in service.list_mut("pre_start") {
        if let Some(map) = node.as_map_mut() {
            for key in ["command", "entrypoint"] {
                problems.extend(command(map, key, notes).err());
            }
            problems.extend(hosts(map).err());
            devices(map.list_mut("gpus"));
        }
    }
    if let Some(develop) = service.get_mut("develop").and_then(Node::as_map_mut) {
        for rule in develop.list_mut("watch") {
            if let Some(exec) = rule.as_map_mut().and_then(|map| map.get_mut("exec")).and_then(Node::as_map_mut) {
                problems.extend(command(exec, "command", notes).err());
            }
        }
    }
    devices(service.list_mut("gpus"));
    for kind in ["limits", "reservations"] {
        let target =
            ["deploy", "resources", kind].iter().try_fold(&mut *service, |map, key| map.get_mut(key)?.as_map_mut());
        if let Some(target) = target {
            devices(target.list_mut("devices"));
        }
    }
}

fn command(map: &mut Map, key: &str, notes: &mut Vec<Note>) -> Outcome<()> {
    let Some(node) = map.get_mut(key) else { return Ok(()) };
    let Some(text) = node.as_text() else { return Ok(()) };
    let line = short::command_line(text).map_err(|why| {
        Problem::new(&node.place, format!("the text of `{key}` can't be divided into words: {why}"))
            .hint(format!("Write a list: `{key}: [\"sh\", \"-c\", \"…\"]`."))
    })?;
    if !line.dropped.is_empty() {
        notes.push(Note {
            file: node.place.source.path.clone(),
            line: node.place.line,
            column: node.place.column,
            kind: NoteKind::Unsupported,
            message: format!(
                "`{}` is left out of `{key}`, since no shell reads it; write `{key}: [\"sh\", \"-c\", \"…\"]`",
                line.dropped.trim_end()
            ),
        });
    }
    let place = node.place.clone();
    node.value = Value::List(line.words.into_iter().map(|word| Node::text(word, &place)).collect());
    Ok(())
}

/// Every form of `extra_hosts` as a sorted list of `host=address`.
fn hosts(map: &mut Map) -> Outcome<()> {
    let Some(node) = map.get_mut("extra_hosts") else { return Ok(()) };
    let mut hosts: Vec<(String, String, Place)> = Vec::new();
    match &node.value {
        Value::Map(map) => {
            for (host, addresses) in map.iter() {
                let single = std::slice::from_ref(addresses);
                for address in addresses.as_list().unwrap_or(single) {
                    hosts.push((host.to_owned(), address.scalar().unwrap_or_default(), address.place.clone()));
                }
            }
        }
        Value::List(list) => {
            for entry in list {
                let text = entry.scalar().unwrap_or_default();
                let (host, addresses) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(|| {
                    Problem::new(&entry.place, format!("`{text}` has no address"))
                        .hint("Hosts are written as `name=address`.")
                })?;
                for address in addresses.split(',') {
                    hosts.push((host.to_owned(), address.to_owned(), entry.place.clone()));
                }
            }
        }
        _ => return Ok(()),
    }
    let mut list = Vec::with_capacity(hosts.len());
    for (host, address, place) in hosts {
        if host.is_empty() || host.contains([':', '=']) {
            return Err(Problem::new(&place, format!("`{host}` can't be a host's name")));
        }
        let address = address.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&address);
        list.push((format!("{host}={address}"), place));
    }
    list.sort_by(|a, b| a.0.cmp(&b.0));
    node.value = Value::List(list.into_iter().map(|(text, place)| Node::text(text, &place)).collect());
    Ok(())
}

/// `count: all` as a number.
fn devices(list: &mut [Node]) {
    for node in list {
        if let Some(count) = node.as_map_mut().and_then(|map| map.get_mut("count"))
            && count.as_text().is_some_and(|text| text.eq_ignore_ascii_case("all"))
        {
            count.value = Value::Integer(-1);
        }
    }
}

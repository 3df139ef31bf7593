//! The last steps: the project's name, the types, profiles, files with variables, and what nobody uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::check;
use super::decode;
use super::dotenv;
use super::files::{Files, Step, Stopped, Variables};
use super::model::{
    Condition, Hidden, Job, MountKind, Note, NoteKind, PreStartHook, Project, Restart, Service,
    Variables as Environment,
};
use super::normalise;
use super::problem::{Outcome, Problem};
use super::request::{Request, Resolved, normal_name};
use super::template::Template;
use super::tree::{Map, Node, Place};
use super::unsupported;
use super::yaml;

/// The project's name: flag or environment, then the last file that has a `name`, then the folder's name.
pub(super) fn project_name(resolved: &Resolved, files: &mut Files<'_>) -> Step<String> {
    if let Some(name) = &resolved.name {
        return Ok(name.clone());
    }
    let mut named: Option<Node> = None;
    for path in &resolved.files {
        let source = files.read(path, None)?;
        // What is wrong with the file is told when it is loaded.
        for document in yaml::parse(&source).unwrap_or_default() {
            named = document
                .at(&["name"])
                .filter(|name| name.as_text().is_some_and(|text| !text.is_empty()))
                .cloned()
                .or(named);
        }
    }
    let name = match named {
        Some(node) => {
            let lookup = |name: &str| resolved.variables.get(name).cloned();
            match Template::new(&lookup).fill(node.as_text().unwrap_or_default()) {
                Ok(text) => normal_name(&text),
                Err(fault) => return files.stop(Problem::new(&node.place, fault.message()).hint(fault.hint())),
            }
        }
        None => String::new(),
    };
    let name = if name.is_empty() {
        normal_name(&resolved.directory.file_name().map(|name| name.to_string_lossy()).unwrap_or_default())
    } else {
        name
    };
    if name.is_empty() {
        let place = Place::of_file(&files.read(&resolved.files[0], None)?);
        return files.stop(
            Problem::new(&place, "the project has no name").hint("Write `name:` into the file, or give `-p NAME`."),
        );
    }
    Ok(name)
}

/// Makes a merged document a project.
pub(super) fn project(
    mut document: Node,
    name: String,
    resolved: Resolved,
    request: &Request,
    files: &mut Files<'_>,
) -> Step<Project> {
    let problems = normalise::document(&mut document, &name, &resolved.variables, &mut files.notes);
    if !problems.is_empty() {
        files.problems.extend(problems);
        return Err(Stopped);
    }
    let mut project = match read(&mut document, &mut files.problems) {
        Some(project) if files.problems.is_empty() => project,
        _ => return Err(Stopped),
    };
    project.name = name;
    project.directory = resolved.directory;
    project.files = resolved.files;
    project.environment_files = resolved.environment_files;
    // A service that is named is wanted, and then so are its profiles.
    let named = request.services.iter().filter_map(|name| project.services.get(name));
    let wanted = named.flat_map(|service| service.profiles.iter().cloned());
    let profiles = resolved.profiles.into_iter().chain(wanted).collect();
    select(&mut project, profiles);
    let problems = check::project(&project, &document);
    if !problems.is_empty() {
        files.problems.extend(problems);
        return Err(Stopped);
    }
    narrow(&mut project, request, &document, files)?;
    for service in project.services.values_mut() {
        if let (Some(scale), Some(deploy)) = (service.scale, &mut service.deploy) {
            deploy.replicas = Some(scale);
        }
    }
    read_files(&mut project, &document, &resolved.variables, files)?;
    resolve_contents(&mut project, &resolved.variables);
    keep_used(&mut project);
    unsupported::note(&project, &document, files);
    doubts(&project, &document, files);
    project.notes = std::mem::take(&mut files.notes);
    project.notes.sort();
    project.notes.dedup();
    Ok(project)
}

/// Reads the types; every part that can't be read is among the problems.
fn read(document: &mut Node, problems: &mut Vec<Problem>) -> Option<Project> {
    let top = document.as_map_mut()?;
    let mut project = Project::default();
    let mut keep = |result: Outcome<()>| problems.extend(result.err());
    for (name, node) in section(top, "services") {
        keep(service(name, node).map(|service| drop(project.services.insert(name.to_owned(), service))));
    }
    for (name, node) in section(top, "jobs") {
        keep(job(name, node).map(|job| drop(project.jobs.insert(name.to_owned(), job))));
    }
    for (name, node) in section(top, "networks") {
        keep(decode::node(node).map(|network| drop(project.networks.insert(name.to_owned(), network))));
    }
    for (name, node) in section(top, "volumes") {
        keep(decode::node(node).map(|volume| drop(project.volumes.insert(name.to_owned(), volume))));
    }
    for (name, node) in section(top, "configs") {
        keep(decode::node(node).map(|config| drop(project.configs.insert(name.to_owned(), config))));
    }
    for (name, node) in section(top, "secrets") {
        keep(decode::node(node).map(|secret| drop(project.secrets.insert(name.to_owned(), secret))));
    }
    for (name, node) in section(top, "models") {
        keep(decode::node(node).map(|model| drop(project.models.insert(name.to_owned(), model))));
    }
    project.extensions = extensions(top);
    Some(project)
}

fn section<'m>(top: &'m Map, name: &str) -> impl Iterator<Item = (&'m str, &'m Node)> {
    top.get(name).and_then(Node::as_map).into_iter().flat_map(Map::iter)
}

fn extensions(map: &Map) -> BTreeMap<String, serde_json::Value> {
    map.iter()
        .filter(|(key, _)| key.starts_with("x-"))
        .map(|(key, node)| (key.to_owned(), decode::json(node)))
        .collect()
}

fn service(name: &str, node: &Node) -> Outcome<Service> {
    let mut node = node.clone();
    let hooks = node.as_map_mut().and_then(|map| map.remove("pre_start"));
    let mut service: Service = decode::node(&node)?;
    name.clone_into(&mut service.name);
    service.extensions = node.as_map().map(extensions).unwrap_or_default();
    for hook in hooks.iter().flat_map(|entry| entry.node.as_list().unwrap_or_default()) {
        let mut hook = hook.clone();
        let per_replica = hook.as_map_mut().and_then(|map| map.remove("per_replica"));
        let per_replica = per_replica.is_some_and(|entry| entry.node.value == super::tree::Value::Bool(true));
        service.pre_start.push(PreStartHook { per_replica, container: Box::new(decode::node(&hook)?) });
    }
    Ok(service)
}

fn job(name: &str, node: &Node) -> Outcome<Job> {
    let mut node = node.clone();
    let triggers = node.as_map_mut().and_then(|map| map.remove("triggers"));
    let triggers = triggers.map(|entry| decode::node(&entry.node)).transpose()?;
    Ok(Job { triggers, container: Box::new(service(name, &node)?) })
}

/// Sets aside what no active profile selects.
fn select(project: &mut Project, profiles: Vec<String>) {
    let selected = |declared: &[String]| {
        declared.is_empty() || profiles.iter().any(|profile| profile == "*" || declared.contains(profile))
    };
    let services = std::mem::take(&mut project.services);
    let known: BTreeSet<String> = services.values().flat_map(|service| service.profiles.iter().cloned()).collect();
    project.known_profiles = known.into_iter().collect();
    (project.services, project.disabled_services) =
        services.into_iter().partition(|(_, service)| selected(&service.profiles));
    project.jobs.retain(|_, job| selected(&job.container.profiles));
    project.profiles = profiles;
}

/// Keeps the services that are named, with what they depend on.
fn narrow(project: &mut Project, request: &Request, document: &Node, files: &mut Files<'_>) -> Step<()> {
    if request.services.is_empty() {
        return Ok(());
    }
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let mut next: Vec<&str> = Vec::new();
    for name in &request.services {
        if !project.services.contains_key(name) {
            let place = Place::of_file(&document.place.source);
            let names = project.services.keys().map(String::as_str);
            return files.stop(Problem::new(&place, format!("there is no service `{name}`")).did_you_mean(name, names));
        }
        next.push(name);
    }
    while let Some(name) = next.pop() {
        if kept.insert(name.to_owned()) && !request.without_dependencies {
            let dependencies = project.services.get(name).into_iter().flat_map(|service| service.depends_on.keys());
            next.extend(dependencies.map(String::as_str).filter(|name| project.services.contains_key(*name)));
        }
    }
    let (mut services, others) =
        std::mem::take(&mut project.services).into_iter().partition(|(name, _)| kept.contains(name));
    for service in BTreeMap::values_mut(&mut services) {
        service.depends_on.retain(|name, _| kept.contains(name));
    }
    project.services = services;
    project.disabled_services.extend::<BTreeMap<String, Service>>(others);
    Ok(())
}

/// Takes in what `env_file` and `label_file` say; what the service says itself wins.
fn read_files(project: &mut Project, document: &Node, variables: &Variables, files: &mut Files<'_>) -> Step<()> {
    let mut failed = false;
    for (name, service) in &mut project.services {
        failed |= environment(service, document.at(&["services", name]), variables, files).is_err();
        failed |= labels(service, document.at(&["services", name]), files).is_err();
    }
    if failed { Err(Stopped) } else { Ok(()) }
}

fn place_of(node: Option<&Node>, path: &[&str], index: usize) -> Option<Place> {
    Some(node?.at(path)?.as_list()?.get(index)?.place.clone())
}

fn environment(service: &mut Service, node: Option<&Node>, variables: &Variables, files: &mut Files<'_>) -> Step<()> {
    let mut found = Variables::new();
    let own = &service.environment;
    let lookup = |name: &str| variables.get(name).cloned().or_else(|| own.get(name).cloned().flatten());
    for (index, file) in service.env_file.iter().enumerate() {
        let path = Path::new(&file.path);
        if !path.exists() && !file.required.0 {
            continue;
        }
        let place = place_of(node, &["env_file"], index);
        let source = files.read_private(path, place.as_ref())?;
        let read = match file.format.as_str() {
            "" | ".env" => dotenv::parse(&source, &lookup, &mut found),
            "raw" => dotenv::parse_raw(&source, &lookup, &mut found),
            other => {
                let place = place.unwrap_or_else(|| Place::of_file(&source));
                Err(Problem::new(&place, format!("`{other}` is no format of a file with variables"))
                    .hint("There is `raw`; without `format` it is read like `.env`."))
            }
        };
        if let Err(problem) = read {
            return files.stop(problem);
        }
    }
    let mut environment: BTreeMap<String, Option<String>> =
        found.into_iter().map(|(name, value)| (name, Some(value))).collect();
    environment.extend(std::mem::take(&mut service.environment).0);
    service.environment = Environment(environment);
    service.env_file.clear();
    Ok(())
}

fn labels(service: &mut Service, node: Option<&Node>, files: &mut Files<'_>) -> Step<()> {
    let mut labels = Variables::new();
    for (index, file) in service.label_file.iter().enumerate() {
        let place = place_of(node, &["label_file"], index);
        let source = files.read_private(Path::new(file), place.as_ref())?;
        let known = labels.clone();
        if let Err(problem) = dotenv::parse(&source, &|name| known.get(name).cloned(), &mut labels) {
            return files.stop(problem);
        }
    }
    labels.append(&mut service.labels);
    service.labels = labels;
    Ok(())
}

/// Configs and secrets that a variable holds.
fn resolve_contents(project: &mut Project, variables: &Variables) {
    for config in project.configs.values_mut().filter(|config| !config.environment.is_empty()) {
        config.resolved = variables.get(&config.environment).cloned().map(Hidden);
    }
    for secret in project.secrets.values_mut().filter(|secret| !secret.environment.is_empty()) {
        secret.resolved = variables.get(&secret.environment).cloned().map(Hidden);
    }
}

/// Leaves out the resources that no active service uses.
fn keep_used(project: &mut Project) {
    let services = &project.services;
    let used =
        |names: &dyn Fn(&Service) -> Vec<String>| -> BTreeSet<String> { services.values().flat_map(names).collect() };
    let networks = used(&|service| service.networks.keys().cloned().collect());
    let volumes = used(&|service| {
        let named = service.volumes.iter().filter(|mount| mount.r#type == MountKind::Volume);
        named.map(|mount| mount.source.clone()).collect()
    });
    let secrets = used(&|service| {
        let build = service.build.iter().flat_map(|build| build.secrets.iter());
        service.secrets.iter().chain(build).map(|secret| secret.source.clone()).collect()
    });
    let configs = used(&|service| service.configs.iter().map(|config| config.source.clone()).collect());
    let models = used(&|service| service.models.keys().cloned().collect());
    project.networks.retain(|name, _| networks.contains(name));
    project.volumes.retain(|name, _| volumes.contains(name));
    project.secrets.retain(|name, _| secrets.contains(name));
    project.configs.retain(|name, _| configs.contains(name));
    project.models.retain(|name, _| models.contains(name));
}

/// What Compose takes, and what will not do what was meant.
fn doubts(project: &Project, document: &Node, files: &mut Files<'_>) {
    let mut notes: Vec<Note> = Vec::new();
    let mut note = |path: &[&str], message: String| {
        if let Some(node) = document.at(path) {
            let place = &node.place;
            notes.push(Note {
                file: place.source.path.clone(),
                line: place.line,
                column: place.column,
                kind: NoteKind::Unsupported,
                message,
            });
        }
    };
    for (name, service) in &project.services {
        if Restart::parse(&service.restart).is_none() {
            let message = format!("`{}` is no restart policy, so `{name}` is not restarted", service.restart);
            note(&["services", name, "restart"], message);
        }
        for (other, dependency) in &service.depends_on {
            let restarts = project.services.get(other).map(Service::restarts);
            if dependency.condition == Condition::Completed
                && matches!(restarts, Some(Restart::Always | Restart::UnlessStopped))
            {
                let message = format!("`{name}` waits for the end of `{other}`, which is restarted whenever it ends");
                note(&["services", name, "depends_on", other], message);
            }
        }
    }
    files.notes.append(&mut notes);
}

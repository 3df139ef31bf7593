//! What is read and checked, but not carried out yet by the engine: each is named, none is dropped in silence.

use super::files::Files;
use super::model::{MountKind, NoteKind, Project};
use super::tree::{Map, Node};

/// Keys of a service that nothing carries out, with the reason.
const KEYS: [(&[&str], &str); 13] = [
    (&["credential_spec"], "only Windows containers have it"),
    (&["isolation"], "only Windows containers have it"),
    (&["provider"], "programs that provide services are not run"),
    (&["models"], "language models are not run"),
    (&["use_api_socket"], "the engine's socket is not passed on; mount it as a volume"),
    (&["pre_start"], "hooks before the start are not run"),
    (&["deploy", "mode"], "a single machine runs replicas only"),
    (&["deploy", "placement"], "a single machine has no placement"),
    (&["deploy", "endpoint_mode"], "a single machine has no virtual addresses"),
    (&["deploy", "update_config"], "an update replaces one container after another"),
    (&["deploy", "rollback_config"], "an update replaces one container after another"),
    (&["deploy", "labels"], "they are a cluster's labels; containers have `labels`"),
    (&["build", "entitlements"], "the builder does not ask for them"),
];

/// Notes whatever a finished document has of it.
pub(super) fn note(project: &Project, document: &Node, files: &mut Files<'_>) {
    notes_of_keys(document, files);
    for (name, service) in &project.services {
        for (index, mount) in service.volumes.iter().enumerate() {
            let kind = match mount.r#type {
                MountKind::Npipe => "npipe",
                MountKind::Cluster => "cluster",
                MountKind::Bind | MountKind::Volume | MountKind::Tmpfs | MountKind::Image => continue,
            };
            let list = document.at(&["services", name, "volumes"]).and_then(Node::as_list);
            if let Some(node) = list.and_then(|list| list.get(index)) {
                let message = format!("a mount of type `{kind}` of the service `{name}` is not carried out");
                files.note(&node.place, NoteKind::Unsupported, message);
            }
        }
    }
    let configs = project.configs.iter().filter(|(_, config)| config.external).map(|(name, _)| ("config", name));
    let secrets = project.secrets.iter().filter(|(_, secret)| secret.external).map(|(name, _)| ("secret", name));
    for (kind, name) in configs.chain(secrets) {
        if let Some(node) = document.at(&[&format!("{kind}s"), name]) {
            let message = format!("the {kind} `{name}` is a cluster's, since it is external, and is not passed on");
            files.note(&node.place, NoteKind::Unsupported, message);
        }
    }
}

fn notes_of_keys(document: &Node, files: &mut Files<'_>) {
    for (name, service) in document.at(&["services"]).and_then(Node::as_map).into_iter().flat_map(Map::iter) {
        for (path, reason) in KEYS {
            let Some((last, above)) = path.split_last() else { continue };
            let Some(map) = service.at(above).and_then(Node::as_map) else { continue };
            let says_something = match map.get(last) {
                None => false,
                // The usual mode changes nothing.
                Some(node) if *last == "mode" => node.as_text().is_some_and(|mode| mode != "replicated"),
                Some(node) => !node.is_null(),
            };
            if says_something && let Some(place) = map.key(last) {
                let message = format!("`{}` of the service `{name}` is not carried out: {reason}", path.join("."));
                files.note(&place.clone(), NoteKind::Unsupported, message);
            }
        }
    }
    for (section, reason) in
        [("jobs", "jobs are not run; a service that ends can stand for one"), ("models", "language models are not run")]
    {
        if let Some(place) = document.as_map().and_then(|map| map.key(section)) {
            files.note(&place.clone(), NoteKind::Unsupported, format!("`{section}` is not carried out: {reason}"));
        }
    }
}

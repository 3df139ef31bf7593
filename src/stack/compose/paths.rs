//! Relative paths made absolute, from the folder of the project or of the file that is included or extended.

use std::path::Path;

use super::short;
use super::tree::{Map, Node, Value};

/// Where paths start from.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) directory: &'a Path,
    /// What `~` stands for.
    pub(super) home: Option<&'a str>,
}

impl Base<'_> {
    /// Makes a path absolute; an empty one stays empty.
    pub(super) fn absolute(self, path: &str) -> String {
        if path.is_empty() { String::new() } else { self.of_host(path) }
    }

    /// Makes a path of the host absolute; an empty one is the folder itself.
    fn of_host(self, path: &str) -> String {
        let path = match (path.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) => short::clean(&format!("{home}/{rest}")),
            _ => path.to_owned(),
        };
        let windows = matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
        if path.starts_with('/') || windows || path.starts_with("\\\\") {
            return path;
        }
        short::clean(&format!("{}/{path}", self.directory.display()))
    }

    /// A build context: a folder, unless it is an address, an image or another service.
    fn context(self, path: &str) -> String {
        let remote = ["https://", "http://", "git://", "ssh://", "github.com/", "git@", "service:"];
        if path.contains("://") || remote.iter().any(|prefix| path.starts_with(prefix)) {
            return path.to_owned();
        }
        self.absolute(path)
    }
}

/// Makes every path of a written-out document absolute.
pub(super) fn resolve(document: &mut Node, base: Base<'_>) {
    for section in ["services", "jobs"] {
        for (_, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            let Some(service) = node.as_map_mut() else { continue };
            container(service, base);
            if let Some(build) = service.get_mut("build").and_then(Node::as_map_mut) {
                change(build.get_mut("context"), |path| base.context(path));
                for (_, node) in
                    build.get_mut("additional_contexts").and_then(Node::as_map_mut).into_iter().flat_map(Map::iter_mut)
                {
                    change(Some(node), |path| base.context(path));
                }
                for (_, node) in build.get_mut("ssh").and_then(Node::as_map_mut).into_iter().flat_map(Map::iter_mut) {
                    change(Some(node), |path| base.of_host(path));
                }
            }
            if let Some(extends) = service.get_mut("extends").and_then(Node::as_map_mut) {
                change(extends.get_mut("file"), |path| base.absolute(path));
            }
            if let Some(develop) = service.get_mut("develop").and_then(Node::as_map_mut) {
                for rule in develop.list_mut("watch") {
                    change(rule.as_map_mut().and_then(|map| map.get_mut("path")), |path| {
                        without_links(&base.absolute(path))
                    });
                }
            }
            for hook in service.list_mut("pre_start") {
                if let Some(hook) = hook.as_map_mut() {
                    container(hook, base);
                }
            }
        }
    }
    for section in ["configs", "secrets"] {
        for (_, node) in document.section_mut(section).into_iter().flat_map(Map::iter_mut) {
            change(node.as_map_mut().and_then(|map| map.get_mut("file")), |path| base.of_host(path));
        }
    }
    for (_, node) in document.section_mut("volumes").into_iter().flat_map(Map::iter_mut) {
        let text = |path: &[&str]| node.at(path).and_then(Node::as_text);
        // A local volume with these options is a mount of a host's folder.
        if text(&["driver"]) == Some("local") && text(&["driver_opts", "o"]) == Some("bind") {
            let options = node.section_mut("driver_opts");
            change(options.and_then(|map| map.get_mut("device")), |path| base.of_host(path));
        }
    }
}

fn container(service: &mut Map, base: Base<'_>) {
    for file in service.list_mut("env_file") {
        change(file.as_map_mut().and_then(|map| map.get_mut("path")), |path| base.absolute(path));
    }
    for file in service.list_mut("label_file") {
        change(Some(file), |path| base.absolute(path));
    }
    for mount in service.list_mut("volumes") {
        if mount.at(&["type"]).and_then(Node::as_text) == Some("bind") {
            change(mount.as_map_mut().and_then(|map| map.get_mut("source")), |path| base.of_host(path));
        }
    }
}

fn change(node: Option<&mut Node>, to: impl FnOnce(&str) -> String) {
    if let Some(Value::Text(text)) = node.map(|node| &mut node.value) {
        *text = to(text);
    }
}

/// File watching tells real paths, so the first symbolic link on the way is followed.
fn without_links(path: &str) -> String {
    let whole = Path::new(path);
    let folders: Vec<&Path> = whole.ancestors().collect();
    for part in folders.into_iter().rev() {
        if part.is_symlink() {
            return match (part.canonicalize(), whole.strip_prefix(part)) {
                (Ok(target), Ok(rest)) => target.join(rest).display().to_string().trim_end_matches('/').to_owned(),
                _ => path.to_owned(),
            };
        }
    }
    path.to_owned()
}

//! `include`: another project's files, read with their own folder and variables, taken in as they are.

use std::path::{Path, PathBuf};

use super::{Files, Scope, Step, Variables, base};
use crate::stack::compose::dotenv;
use crate::stack::compose::merge;
use crate::stack::compose::problem::Problem;
use crate::stack::compose::tree::{Map, Node, Value};

/// The sections that are taken in.
const SECTIONS: [&str; 7] = ["services", "jobs", "volumes", "networks", "secrets", "configs", "models"];

impl Files<'_> {
    /// Takes in everything that a document includes.
    pub(super) fn include(&mut self, document: &mut Node, path: &Path, scope: Scope<'_>) -> Step<()> {
        let Some(include) = document.as_map_mut().and_then(|map| map.remove("include")) else { return Ok(()) };
        let list = match include.node.value {
            Value::List(list) => list,
            Value::Null => return Ok(()),
            _ => {
                let message = format!("`include` must be a list, and this is {}", include.node.kind());
                return self.stop(Problem::new(&include.node.place, message).hint("Write `include: [FILE]`."));
            }
        };
        let mut including = scope.including.to_vec();
        including.push(path.to_path_buf());
        for entry in list {
            let model = self.included(&entry, Scope { including: &including, ..scope })?;
            self.take_in(document, model)?;
        }
        Ok(())
    }

    fn included(&mut self, entry: &Node, scope: Scope<'_>) -> Step<Node> {
        let single = Map::default();
        let (paths, options) = match &entry.value {
            Value::Map(map) => (map.get("path").map(texts).unwrap_or_default(), map),
            Value::Text(_) => (texts(entry), &single),
            _ => (Vec::new(), &single),
        };
        let Some((first, place)) = paths.first().cloned() else {
            return self.stop(
                Problem::new(&entry.place, "an entry of `include` names no file").hint("Write `include: [FILE]`."),
            );
        };
        let absolute = |path: &str, directory: &Path| PathBuf::from(base(directory, scope.variables).absolute(path));
        let files: Vec<PathBuf> = paths.iter().map(|(path, _)| absolute(path, scope.directory)).collect();
        let directory = match options.get("project_directory").and_then(Node::as_text) {
            Some(directory) if !directory.is_empty() => absolute(directory, scope.directory),
            _ => files[0].parent().unwrap_or(scope.directory).to_path_buf(),
        };
        for (file, (_, place)) in files.iter().zip(&paths) {
            // Reading it tells the place that names it, which the reader of the model does not know.
            self.read(file, Some(place))?;
        }
        if scope.including.contains(&files[0]) {
            let way: Vec<String> = scope.including.iter().map(|file| self.shown(file)).chain([first]).collect();
            return self.stop(
                Problem::new(&place, format!("files include each other in a circle: {}", way.join(" → ")))
                    .hint("Take out one `include` of the circle."),
            );
        }
        let variables = self.variables_of(options, &directory, scope)?;
        self.model(&files, Scope { directory: &directory, variables: &variables, including: scope.including })
    }

    /// The variables of an included project: those of this one, then its own files'.
    fn variables_of(&mut self, options: &Map, directory: &Path, scope: Scope<'_>) -> Step<Variables> {
        let mut files = Vec::new();
        match options.get("env_file") {
            Some(node) if !node.is_null() => {
                for (file, place) in texts(node).into_iter().filter(|(file, _)| file != "/dev/null") {
                    let path = base(scope.directory, scope.variables).absolute(&file);
                    files.push((PathBuf::from(path), Some(place)));
                }
            }
            _ => {
                let file = directory.join(".env");
                if file.is_file() {
                    files.push((file, None));
                }
            }
        }
        let mut own = Variables::new();
        for (file, place) in files {
            let source = self.read_private(&file, place.as_ref())?;
            let known = own.clone();
            let lookup = |name: &str| scope.variables.get(name).or_else(|| known.get(name)).cloned();
            if let Err(problem) = dotenv::parse(&source, &lookup, &mut own) {
                return self.stop(problem);
            }
        }
        own.extend(scope.variables.clone());
        Ok(own)
    }

    /// What the document says itself is merged over what it includes.
    fn take_in(&mut self, document: &mut Node, mut model: Node) -> Step<()> {
        let place = model.place.clone();
        let (Some(top), Some(other)) = (document.as_map_mut(), model.as_map_mut()) else { return Ok(()) };
        for section in SECTIONS {
            let Some(Value::Map(from)) = other.remove(section).map(|entry| entry.node.value) else { continue };
            if top.get(section).is_none_or(Node::is_null) {
                top.set(section, Node::map(&place));
            }
            let Some(to) = top.get_mut(section).and_then(Node::as_map_mut) else { continue };
            for (name, entry) in from.into_entries() {
                match to.get_mut(&name) {
                    None => drop(to.insert(name, entry)),
                    // The same file taken in twice.
                    Some(own) if *own == entry.node => {}
                    Some(own) => {
                        let over = std::mem::replace(own, Node::null(&entry.node.place));
                        match merge::element(section, entry.node, over) {
                            Ok(merged) => *own = merged,
                            Err(problem) => return self.stop(problem),
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// One text or several, each with its place.
fn texts(node: &Node) -> Vec<(String, crate::stack::compose::tree::Place)> {
    let single = std::slice::from_ref(node);
    node.as_list()
        .unwrap_or(single)
        .iter()
        .filter_map(|node| Some((node.as_text()?.to_owned(), node.place.clone())))
        .collect()
}

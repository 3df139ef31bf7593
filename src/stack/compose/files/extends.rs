//! `extends`: a service that starts from another one, of the same file or of another.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Files, Scope, Step, base};
use crate::stack::compose::canonical;
use crate::stack::compose::merge;
use crate::stack::compose::paths;
use crate::stack::compose::problem::Problem;
use crate::stack::compose::tree::{Map, Node, Value};

/// The services of each file that was read for one `extends` of a document.
type Read = HashMap<PathBuf, Map>;

impl Files<'_> {
    /// Resolves every `extends` of a document.
    pub(super) fn extends(&mut self, document: &mut Node, path: &Path, scope: Scope<'_>) -> Step<()> {
        let mut read = Read::new();
        for section in ["services", "jobs"] {
            let Some(services) = document.section_mut(section) else { continue };
            let names: Vec<String> = services
                .iter()
                .filter(|(_, service)| service.at(&["extends"]).is_some())
                .map(|(name, _)| name.to_owned())
                .collect();
            for name in names {
                let mut chain = Vec::new();
                self.extend(services, &name, path, scope, &mut read, &mut chain)?;
            }
        }
        Ok(())
    }

    /// Resolves the `extends` of one service among the services of its file; `chain` is the way that led here.
    fn extend(
        &mut self,
        services: &mut Map,
        name: &str,
        path: &Path,
        scope: Scope<'_>,
        read: &mut Read,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Step<()> {
        let Some(service) = services.get(name) else { return Ok(()) };
        let Some(extends) = service.at(&["extends"]) else { return Ok(()) };
        let place = extends.place.clone();
        let (target, file) = match &extends.value {
            Value::Text(target) => (Some(Node::text(target.as_str(), &place)), None),
            Value::Map(map) => (map.get("service").cloned(), map.get("file").filter(|file| !file.is_null()).cloned()),
            _ => (None, None),
        };
        let Some((target, target_place)) = target.and_then(|node| Some((node.as_text()?.to_owned(), node.place)))
        else {
            return self.stop(
                Problem::new(&place, format!("`extends` of the service `{name}` names no service"))
                    .hint("Write `extends: {service: NAME, file: FILE}`."),
            );
        };
        let step = (path.to_path_buf(), name.to_owned());
        if chain.contains(&step) {
            let way: Vec<&str> = chain.iter().map(|(_, name)| name.as_str()).chain([name]).collect();
            return self.stop(
                Problem::new(&place, format!("services extend each other in a circle: {}", way.join(" → ")))
                    .hint("Take out one `extends` of the circle."),
            );
        }
        chain.push(step);
        let base = if let Some(file) = file {
            let Some(text) = file.as_text() else {
                return self
                    .stop(Problem::new(&file.place, format!("`file` must be a text, and this is {}", file.kind())));
            };
            let other = PathBuf::from(base(scope.directory, scope.variables).absolute(text));
            let directory = other.parent().unwrap_or(scope.directory).to_path_buf();
            if !read.contains_key(&other) {
                let services = self.services_of(&other, &file, &directory, scope)?;
                read.insert(other.clone(), services);
            }
            let mut others = read.get(&other).cloned().unwrap_or_default();
            self.known(&others, &target, &target_place, Some(&other))?;
            let scope = Scope { directory: &directory, ..scope };
            self.extend(&mut others, &target, &other, scope, read, chain)?;
            others.remove(&target)
        } else {
            self.known(services, &target, &target_place, None)?;
            self.extend(services, &target, path, scope, read, chain)?;
            services.remove(&target).inspect(|entry| drop(services.insert(target.clone(), entry.clone())))
        };
        chain.pop();
        let Some(mut base) = base.map(|entry| entry.node).filter(|base| !base.is_null()) else { return Ok(()) };
        // What the other service resets it has reset for itself alone.
        merge::settle(&mut base);
        let Some(mut entry) = services.remove(name) else { return Ok(()) };
        match merge::element("services", base, entry.node) {
            Ok(merged) => entry.node = merged,
            Err(problem) => return self.stop(problem),
        }
        if let Some(map) = entry.node.as_map_mut() {
            map.remove("extends");
        }
        services.insert(name.to_owned(), entry);
        Ok(())
    }

    fn known(
        &mut self,
        services: &Map,
        name: &str,
        place: &crate::stack::compose::tree::Place,
        file: Option<&Path>,
    ) -> Step<()> {
        if services.contains(name) {
            return Ok(());
        }
        let within = file.map_or_else(|| "in this file".to_owned(), |file| format!("in {}", self.shown(file)));
        self.stop(
            Problem::new(place, format!("there is no service `{name}` {within} to extend"))
                .did_you_mean(name, services.keys()),
        )
    }

    /// The services of another file, written out, with paths from that file's folder.
    fn services_of(&mut self, path: &Path, asked: &Node, directory: &Path, scope: Scope<'_>) -> Step<Map> {
        let source = self.read(path, Some(&asked.place))?;
        let mut services = Map::default();
        for mut document in self.documents(&source, scope.variables)? {
            let problems = canonical::document(&mut document);
            self.checked(problems)?;
            paths::resolve(&mut document, base(directory, scope.variables));
            for (name, entry) in document.section_mut("services").map(std::mem::take).unwrap_or_default().into_entries()
            {
                services.insert(name, entry);
            }
        }
        if services.is_empty() {
            let message = format!("{} has no services", source.path.display());
            return self.stop(Problem::new(&asked.place, message));
        }
        Ok(services)
    }
}

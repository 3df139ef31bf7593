//! Keys that began as extensions and are part of the format now: `x-develop` is `develop`, and `x-initialSync` is
//! `initial_sync`. Where both are there, the newer one wins.

use super::{Files, Step};
use crate::stack::compose::merge;
use crate::stack::compose::model::NoteKind;
use crate::stack::compose::tree::{Map, Node, Value};

impl Files<'_> {
    /// Gives such keys their names of today.
    pub(super) fn aliases(&mut self, document: &mut Node) -> Step<()> {
        for (_, node) in document.section_mut("services").into_iter().flat_map(Map::iter_mut) {
            let Some(service) = node.as_map_mut() else { continue };
            if let Some(old) = service.remove("x-develop") {
                self.note(&old.key, NoteKind::Deprecated, "`x-develop` is called `develop` now");
                let service_of = |entry| {
                    let mut map = Map::default();
                    map.insert("develop".to_owned(), entry);
                    Node::new(Value::Map(map), old.key.clone())
                };
                let own = service.remove("develop").filter(|own| !own.node.is_null());
                let merged = match own {
                    Some(own) => merge::element("services", service_of(old.clone()), service_of(own)),
                    None => Ok(service_of(old.clone())),
                };
                match merged {
                    Ok(mut merged) => {
                        if let Some(entry) = merged.as_map_mut().and_then(|map| map.remove("develop")) {
                            service.insert("develop".to_owned(), entry);
                        }
                    }
                    Err(problem) => return self.stop(problem),
                }
            }
            let watch = service.get_mut("develop").and_then(Node::as_map_mut).and_then(|map| map.get_mut("watch"));
            let Some(Value::List(rules)) = watch.map(|watch| &mut watch.value) else { continue };
            for rule in rules.iter_mut().filter_map(Node::as_map_mut) {
                let Some(old) = rule.remove("x-initialSync") else { continue };
                self.note(&old.key, NoteKind::Deprecated, "`x-initialSync` is called `initial_sync` now");
                if !rule.contains("initial_sync") {
                    rule.insert("initial_sync".to_owned(), old);
                }
            }
        }
        Ok(())
    }
}

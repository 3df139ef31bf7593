//! A picture of what there is, grouped by module: as Mermaid or as DOT.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::plan::Shown;

/// How the picture is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    #[default]
    Mermaid,
    Dot,
}

/// Resources by module, and which needs which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The module's address (empty: the root) to the resources' addresses in it, without index.
    pub modules: BTreeMap<String, BTreeSet<String>>,
    /// From what needs to what is needed.
    pub edges: BTreeSet<(String, String)>,
}

impl Graph {
    /// What there is, by the state.
    pub fn of_state(shown: &Shown) -> Self {
        let mut graph = Self::default();
        if let Some(root) = shown.values.get("root_module") {
            graph.state_module(root);
        }
        graph.known_edges()
    }

    /// What there will be, by the configuration that a plan holds.
    pub fn of_plan(shown: &Shown) -> Self {
        let mut graph = Self::default();
        if let Some(root) = shown.configuration.get("root_module") {
            graph.configured_module(root, "");
        }
        graph.known_edges()
    }

    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    fn add(&mut self, module: &str, address: &str) {
        self.modules.entry(module.to_owned()).or_default().insert(address.to_owned());
    }

    fn state_module(&mut self, module: &Value) {
        let name = plain(module.get("address").and_then(Value::as_str).unwrap_or_default());
        for resource in list(module, "resources") {
            let address = resource.get("address").and_then(Value::as_str).map(plain);
            let is_managed = resource.get("mode").and_then(Value::as_str) == Some("managed");
            let Some(address) = address.filter(|_| is_managed) else { continue };
            for needed in list(resource, "depends_on").iter().filter_map(Value::as_str) {
                self.edges.insert((address.clone(), plain(needed)));
            }
            self.add(&name, &address);
        }
        for inner in list(module, "child_modules") {
            self.state_module(inner);
        }
    }

    fn configured_module(&mut self, module: &Value, name: &str) {
        let full = |address: &str| if name.is_empty() { address.to_owned() } else { format!("{name}.{address}") };
        for resource in list(module, "resources") {
            let address = resource.get("address").and_then(Value::as_str);
            let is_managed = resource.get("mode").and_then(Value::as_str) == Some("managed");
            let Some(address) = address.filter(|_| is_managed).map(full) else { continue };
            let mut references = BTreeSet::new();
            gather(resource, &mut references);
            for reference in references {
                // An attribute of a resource is the resource's; what a module gives is the module's own affair.
                let parts: Vec<&str> = reference.split('.').collect();
                if let [kind, own, ..] = parts.as_slice()
                    && !["var", "local", "data", "each", "count", "module", "path", "self"].contains(kind)
                {
                    self.edges.insert((address.clone(), full(&plain(&format!("{kind}.{own}")))));
                }
            }
            self.add(name, &address);
        }
        let calls = module.get("module_calls").and_then(Value::as_object);
        for (call, inner) in calls.into_iter().flatten() {
            if let Some(module) = inner.get("module") {
                self.configured_module(module, &full(&format!("module.{call}")));
            }
        }
    }

    /// Without edges to what is not in the picture, such as data sources.
    fn known_edges(mut self) -> Self {
        let known: BTreeSet<&String> = self.modules.values().flatten().collect();
        let edges = self.edges.iter().filter(|(from, to)| from != to && known.contains(from) && known.contains(to));
        self.edges = edges.cloned().collect();
        self
    }

    /// The picture as text.
    pub fn text(&self, form: Form) -> String {
        let numbers: BTreeMap<&String, usize> =
            self.modules.values().flatten().enumerate().map(|(number, name)| (name, number)).collect();
        let mut text = String::from(match form {
            Form::Mermaid => "flowchart LR\n",
            Form::Dot => "digraph infrastructure {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n",
        });
        for (index, (module, resources)) in self.modules.iter().enumerate() {
            let label = |address: &String| {
                let own = address.strip_prefix(module.as_str()).unwrap_or(address);
                own.trim_start_matches('.').to_owned()
            };
            let indent = if module.is_empty() { "  " } else { "    " };
            match form {
                _ if module.is_empty() => {}
                Form::Mermaid => {
                    let _ = writeln!(text, "  subgraph m{index}[\"{module}\"]");
                }
                Form::Dot => {
                    let _ = writeln!(text, "  subgraph cluster_{index} {{\n    label=\"{module}\";");
                }
            }
            for address in resources {
                let number = numbers[address];
                let _ = match form {
                    Form::Mermaid => writeln!(text, "{indent}r{number}[\"{}\"]", label(address)),
                    Form::Dot => writeln!(text, "{indent}r{number} [label=\"{}\"];", label(address)),
                };
            }
            match form {
                _ if module.is_empty() => {}
                Form::Mermaid => text.push_str("  end\n"),
                Form::Dot => text.push_str("  }\n"),
            }
        }
        for (from, to) in &self.edges {
            let (from, to) = (numbers[from], numbers[to]);
            let _ = match form {
                Form::Mermaid => writeln!(text, "  r{from} --> r{to}"),
                Form::Dot => writeln!(text, "  r{from} -> r{to};"),
            };
        }
        if form == Form::Dot {
            text.push_str("}\n");
        }
        text
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Every text under a key `references`.
fn gather(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (key, inner) in entries {
                if matches!(key.as_str(), "references" | "depends_on") {
                    found.extend(inner.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
                }
                gather(inner, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| gather(element, found)),
        _ => {}
    }
}

/// An address without its indexes: `a.b[0]` and `a.b["x"]` are one thing in a picture.
fn plain(address: &str) -> String {
    let mut depth = 0_u32;
    address
        .chars()
        .filter(|c| match c {
            '[' => {
                depth += 1;
                false
            }
            ']' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_stand_in_their_modules_with_what_they_need() {
        let shown = Shown {
            values: json!({"root_module": {
                "resources": [{"mode": "managed", "address": "a.one[0]"}, {"mode": "data", "address": "data.x.y"}],
                "child_modules": [{"address": "module.net[\"x\"]", "resources": [
                    {"mode": "managed", "address": "module.net[\"x\"].b.two", "depends_on": ["a.one", "data.x.y"]},
                ]}],
            }}),
            ..Shown::default()
        };
        let graph = Graph::of_state(&shown);
        insta::assert_snapshot!(graph.text(Form::Mermaid), @r#"
        flowchart LR
          r0["a.one"]
          subgraph m1["module.net"]
            r1["b.two"]
          end
          r1 --> r0
        "#);
        assert!(
            graph
                .text(Form::Dot)
                .contains("subgraph cluster_1 {\n    label=\"module.net\";\n    r1 [label=\"b.two\"];")
        );
    }

    #[test]
    fn a_plan_knows_what_needs_what_by_its_references() {
        let shown = Shown {
            configuration: json!({"root_module": {"resources": [
                {"mode": "managed", "address": "a.one"},
                {"mode": "managed", "address": "a.two", "expressions": {"input": {"references": ["a.one.id", "a.one", "var.x"]}}},
            ]}}),
            ..Shown::default()
        };
        let graph = Graph::of_plan(&shown);
        assert_eq!(graph.edges, BTreeSet::from([("a.two".to_owned(), "a.one".to_owned())]));
    }
}

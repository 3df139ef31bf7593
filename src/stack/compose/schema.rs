//! The official JSON schema of the Compose format, checked against the tree itself, so that each finding has its place.
//!
//! `schema/compose-spec.json` is the specification's own file; `schema/README.md` names its source and licence. The
//! schema uses a small part of JSON Schema; compiling it refuses every keyword that is not understood here, so that an
//! update of the file can't weaken the check unseen.

mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::problem::{Problem, closest};
use super::tree::{Map, Node, Value};
use rule::{Others, Rule, Type};

const TEXT: &str = include_str!("schema/compose-spec.json");

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::compile(TEXT).expect("the embedded schema compiles: a test holds it to that"));

/// Everything in which a merged document differs from the schema.
pub(super) fn check(document: &Node) -> Vec<Problem> {
    let mut findings = Vec::new();
    SCHEMA.check(&SCHEMA.root, document, &mut Vec::new(), &mut findings);
    // A service is made of several parts of the schema, each of which may find the same.
    let mut problems: Vec<Problem> = Vec::new();
    for Finding { problem, .. } in findings {
        if !problems
            .iter()
            .any(|known| known.message == problem.message && known.place.order() == problem.place.order())
        {
            problems.push(problem);
        }
    }
    problems
}

/// Whether a key is one of those that every container has: of a service, a job, a hook.
pub(super) fn is_container_key(key: &str) -> bool {
    SCHEMA.definitions.get("container_spec").is_some_and(|rule| rule.properties.contains_key(key))
}

struct Schema {
    root: Rule,
    definitions: BTreeMap<String, Rule>,
}

/// A problem, and how deep below the place where the check began.
struct Finding {
    problem: Problem,
    depth: usize,
    /// The types that were wanted, where the type is what is wrong.
    types: Vec<Type>,
}

impl Schema {
    fn compile(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut definitions = BTreeMap::new();
        for (name, definition) in json["$defs"].as_object().into_iter().flatten() {
            definitions.insert(name.clone(), Rule::compile(definition)?);
        }
        Ok(Self { root: Rule::compile(&json)?, definitions })
    }

    fn resolve<'s>(&'s self, rule: &'s Rule) -> &'s Rule {
        match rule.reference.as_ref().and_then(|name| self.definitions.get(name)) {
            Some(target) => self.resolve(target),
            None => rule,
        }
    }

    fn check(&self, rule: &Rule, node: &Node, path: &mut Vec<String>, findings: &mut Vec<Finding>) {
        let rule = self.resolve(rule);
        let depth = path.len();
        let mut found = |problem: Problem, types: Vec<Type>| findings.push(Finding { problem, depth, types });
        if !rule.types.is_empty() && !rule.types.iter().any(|wanted| wanted.fits(&node.value)) {
            let types = rule.types.clone();
            return found(wrong_type(path, &types, node), types);
        }
        if !rule.allowed.is_empty() && !rule.allowed.iter().any(|allowed| equal(allowed, node)) {
            let names: Vec<&str> = rule.allowed.iter().filter_map(Json::as_str).collect();
            let wrong = node.scalar().unwrap_or_default();
            let problem = Problem::new(
                &node.place,
                format!("{} must be one of {}, and this is `{wrong}`", subject(path), list(&names)),
            );
            let hint = names.first().map_or_else(String::new, |name| format!("Write one of them, such as `{name}`."));
            found(problem.hint(hint).did_you_mean(&wrong, names), Vec::new());
        }
        if let (Some(pattern), Some(text)) = (&rule.pattern, node.as_text())
            && !pattern.is_match(text)
        {
            let problem = Problem::new(&node.place, format!("`{text}` can't be {}", subject(path)));
            // The schema has two patterns; the other one is of names.
            let policies = ["always", "never", "build", "missing", "refresh", "daily", "weekly"];
            let hint = match closest(text, policies) {
                Some(word) => format!("Did you mean `{word}`?"),
                None if pattern.as_str().contains("weekly") => {
                    format!("There are {}, and a time such as `every_12h`.", list(&policies))
                }
                None => "It is made of letters, digits, `.`, `_` and `-`, at least two.".to_owned(),
            };
            found(problem.hint(hint), Vec::new());
        }
        let number = match node.value {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        };
        if let (Some(number), Some(minimum)) = (number, rule.minimum)
            && number < minimum
        {
            let problem = Problem::new(&node.place, format!("{} must be at least {minimum}", subject(path)));
            found(problem.hint(format!("The least is {minimum}.")), Vec::new());
        }
        if let (Some(number), Some(maximum)) = (number, rule.maximum)
            && number > maximum
        {
            let problem = Problem::new(&node.place, format!("{} must be at most {maximum}", subject(path)));
            found(problem.hint(format!("The most is {maximum}.")), Vec::new());
        }
        match &node.value {
            Value::Map(map) => self.check_map(rule, map, node, path, findings),
            Value::List(list) => self.check_list(rule, list, path, findings),
            _ => {}
        }
        for part in &rule.all_of {
            self.check(part, node, path, findings);
        }
        for (choices, exactly_one) in [(&rule.one_of, true), (&rule.any_of, false)] {
            if !choices.is_empty() {
                self.check_choices(choices, exactly_one, node, path, findings);
            }
        }
    }

    fn check_map(&self, rule: &Rule, map: &Map, node: &Node, path: &mut Vec<String>, findings: &mut Vec<Finding>) {
        for name in rule.required.iter().filter(|name| !map.contains(name)) {
            findings.push(Finding {
                problem: Problem::new(&node.place, format!("{} must have `{name}`", subject(path)))
                    .hint(format!("Add `{name}:` to it.")),
                depth: path.len(),
                types: Vec::new(),
            });
        }
        let known = if rule.closed { Some(self.known(rule)) } else { None };
        for (key, entry) in map.entries() {
            path.push(key.to_owned());
            let mut seen = false;
            if let Some(property) = rule.properties.get(key) {
                seen = true;
                self.check(property, &entry.node, path, findings);
            }
            for (_, property) in rule.patterns.iter().filter(|(pattern, _)| pattern.is_match(key)) {
                seen = true;
                self.check(property, &entry.node, path, findings);
            }
            let unknown = match (&rule.additional, &known) {
                (Others::Are(property), _) if !seen => {
                    self.check(property, &entry.node, path, findings);
                    false
                }
                (Others::None, _) => !seen,
                (_, Some((names, patterns))) => {
                    !names.contains(key) && !patterns.iter().any(|pattern| pattern.is_match(key))
                }
                _ => false,
            };
            path.pop();
            if unknown {
                let names = known.as_ref().map_or_else(
                    || rule.properties.keys().map(String::as_str).collect(),
                    |(names, _)| names.iter().copied().collect::<Vec<_>>(),
                );
                findings.push(Finding {
                    problem: unknown_key(path, key, &names, &entry.key),
                    depth: path.len() + 1,
                    types: Vec::new(),
                });
            }
        }
    }

    /// Every key that a rule and the rules it is made of know.
    fn known<'s>(&'s self, rule: &'s Rule) -> (BTreeSet<&'s str>, Vec<&'s Regex>) {
        let mut names: BTreeSet<&str> = rule.properties.keys().map(String::as_str).collect();
        let mut patterns: Vec<&Regex> = rule.patterns.iter().map(|(pattern, _)| pattern).collect();
        for part in &rule.all_of {
            let (more, others) = self.known(self.resolve(part));
            names.extend(more);
            patterns.extend(others);
        }
        (names, patterns)
    }

    fn check_list(&self, rule: &Rule, list: &[Node], path: &mut Vec<String>, findings: &mut Vec<Finding>) {
        if let Some(items) = &rule.items {
            for (index, node) in list.iter().enumerate() {
                path.push(format!("[{index}]"));
                self.check(items, node, path, findings);
                path.pop();
            }
        }
        if rule.unique {
            for (index, node) in list.iter().enumerate() {
                if let Some(first) = list[..index].iter().find(|first| *first == node) {
                    let what = node.scalar().map_or_else(|| "this".to_owned(), |text| format!("`{text}`"));
                    findings.push(Finding {
                        problem: Problem::new(
                            &node.place,
                            format!("{what} is in {} twice; first in line {}", subject(path), first.place.line),
                        ),
                        depth: path.len() + 1,
                        types: Vec::new(),
                    });
                }
            }
        }
    }

    fn check_choices(
        &self,
        choices: &[Rule],
        exactly_one: bool,
        node: &Node,
        path: &mut Vec<String>,
        findings: &mut Vec<Finding>,
    ) {
        let depth = path.len();
        let mut fits = 0;
        let mut types = Vec::new();
        let mut nearest: Option<Vec<Finding>> = None;
        for choice in choices {
            let mut found = Vec::new();
            self.check(choice, node, path, &mut found);
            if found.is_empty() {
                fits += 1;
                continue;
            }
            // A choice of another type was not meant; of the others the one was meant that fits furthest.
            if let [only] = found.as_slice()
                && only.depth == depth
                && !only.types.is_empty()
            {
                types.extend(&only.types);
                continue;
            }
            let deepest = |found: &[Finding]| found.iter().map(|finding| finding.depth).max();
            if nearest.as_ref().is_none_or(|nearest| deepest(&found) > deepest(nearest)) {
                nearest = Some(found);
            }
        }
        if fits == 1 || (fits > 1 && !exactly_one) {
            return;
        }
        if fits > 1 {
            findings.push(Finding {
                problem: Problem::new(&node.place, format!("{} can be read in more than one way", subject(path))),
                depth,
                types: Vec::new(),
            });
        } else if let Some(nearest) = nearest {
            findings.extend(nearest);
        } else {
            types.sort_unstable();
            types.dedup();
            findings.push(Finding { problem: wrong_type(path, &types, node), depth, types });
        }
    }
}

/// Whether a node is the value that a schema names; these are texts and switches.
fn equal(json: &Json, node: &Node) -> bool {
    match (json, &node.value) {
        (Json::String(left), Value::Text(right)) => left == right,
        (Json::Bool(left), Value::Bool(right)) => left == right,
        _ => false,
    }
}

/// What a path is called in a message.
fn subject(path: &[String]) -> String {
    match path {
        [] => "the file".to_owned(),
        [section, name] if !name.starts_with('[') => match section.strip_suffix('s') {
            Some(kind) => format!("the {kind} `{name}`"),
            None => format!("`{section}.{name}`"),
        },
        [.., name, index] if index.starts_with('[') => format!("`{name}{index}`"),
        [.., name] => format!("`{name}`"),
    }
}

fn wrong_type(path: &[String], types: &[Type], node: &Node) -> Problem {
    let mut words: Vec<&str> = Vec::new();
    for word in types.iter().filter(|wanted| **wanted != Type::Null || types.len() == 1).map(|wanted| wanted.words()) {
        // A whole number is a number: one of both is enough.
        let said = word == "a whole number" && types.contains(&Type::Number);
        if !said && !words.contains(&word) {
            words.push(word);
        }
    }
    let words = match words.as_slice() {
        [first, .., last] if words.len() > 2 => format!("{first}, {} or {last}", words[1..words.len() - 1].join(", ")),
        words => words.join(" or "),
    };
    let message = format!("{} must be {words}, and this is {}", subject(path), node.kind());
    let problem = Problem::new(&node.place, message);
    let key = path.iter().rev().find(|key| !key.starts_with('[')).map_or("services", String::as_str);
    let own = node.scalar();
    match (types.iter().filter(|wanted| **wanted != Type::Null).max(), own) {
        _ if node.is_null() => problem.hint(format!("Write what `{key}` is to be, or take it out.")),
        (Some(Type::List), Some(own)) => problem.hint(format!("Write `{key}: [\"{own}\"]`.")),
        (Some(Type::List), None) => problem.hint(format!("Write `{key}: [first, second]`.")),
        (Some(Type::Mapping), _) => problem.hint(format!("Write `{key}:` and below it, indented, `name: value`.")),
        (Some(Type::Switch), _) => problem.hint(format!("Write `{key}: true`.")),
        (Some(Type::Integer | Type::Number), _) => problem.hint(format!("Write a number, such as `{key}: 3`.")),
        (_, Some(own)) => problem.hint(format!("Put it in quotes: `\"{own}\"`.")),
        (_, None) => problem.hint(format!("Write a single text: `{key}: text`.")),
    }
}

fn unknown_key(path: &[String], key: &str, names: &[&str], place: &super::tree::Place) -> Problem {
    let problem = match path {
        [section] if names.is_empty() => {
            return Problem::new(place, format!("`{key}` can't be a name in `{section}`"))
                .hint("Names are made of letters, digits, `.`, `_` and `-`.");
        }
        [] => Problem::new(place, format!("there is no `{key}` at the top of a Compose file")),
        [section, _] => {
            let kind = section.strip_suffix('s').unwrap_or(section);
            Problem::new(place, format!("there is no `{key}` in a {kind}"))
        }
        _ => Problem::new(place, format!("there is no `{key}` in {}", subject(path))),
    };
    match closest(key, names.iter().copied()) {
        Some(name) => problem.hint(format!("Did you mean `{name}`?")),
        None => problem.hint("Keys of your own begin with `x-`."),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::compose::tree::Source;
    use std::path::PathBuf;
    use std::rc::Rc;

    fn problems(text: &str) -> Vec<(usize, String, Option<String>)> {
        let source = Rc::new(Source { path: PathBuf::from("compose.yaml"), text: text.to_owned(), private: false });
        let document = crate::stack::compose::yaml::parse(&source).unwrap().remove(0);
        check(&document).into_iter().map(|problem| (problem.place.line, problem.message, problem.hint)).collect()
    }

    fn one(text: &str) -> (usize, String, String) {
        let mut problems = problems(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let (line, message, hint) = problems.remove(0);
        (line, message, hint.unwrap_or_default())
    }

    #[test]
    fn the_schema_compiles_and_knows_all_keys() {
        let schema = Schema::compile(TEXT).unwrap();
        let (names, _) = schema.known(&schema.definitions["service"]);
        assert!(names.len() > 90, "{}", names.len());
        // A reference that leads nowhere would accept everything.
        for reference in TEXT.split("#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schema.definitions.contains_key(reference), "{reference}");
        }
    }

    #[test]
    fn an_unknown_keyword_is_refused() {
        assert!(Schema::compile("{\"if\": {}}").is_err());
    }

    #[test]
    fn a_valid_document_has_no_problem() {
        assert_eq!(problems("services:\n  web:\n    image: x\n    x-own: [1]\nx-more: {a: b}\n"), []);
    }

    #[test]
    fn unknown_keys_are_named_with_what_was_meant() {
        assert_eq!(
            one("services:\n  web:\n    image: x\n    prots: ['1']\n"),
            (4, "there is no `prots` in a service".into(), "Did you mean `ports`?".into())
        );
        assert_eq!(one("service:\n  web: {}\n").2, "Did you mean `services`?");
        assert_eq!(one("services:\n  web:\n    healthcheck: {tset: x}\n").1, "there is no `tset` in `healthcheck`");
        assert_eq!(one("services:\n  'my web': {image: x}\n").1, "`my web` can't be a name in `services`");
    }

    #[test]
    fn wrong_types_say_what_is_wanted() {
        assert_eq!(one("services:\n  web:\n    ports: 80\n").1, "`ports` must be a list, and this is a number");
        assert_eq!(
            one("services:\n  web:\n    command: {a: b}\n").1,
            "`command` must be a text or a list, and this is a mapping"
        );
        assert_eq!(one("services: [a]\n").1, "`services` must be a mapping, and this is a list");
        assert_eq!(one("services:\n  web: x\n").1, "the service `web` must be a mapping, and this is a text");
    }

    #[test]
    fn choices_name_what_was_meant() {
        let (line, message, hint) =
            one("services:\n  web:\n    depends_on:\n      db:\n        condition: service_helthy\n");
        assert_eq!((line, hint.as_str()), (5, "Did you mean `service_healthy`?"), "{message}");
        assert_eq!(one("services:\n  web:\n    ports:\n      - {trget: 80}\n").2, "Did you mean `target`?");
    }

    #[test]
    fn several_are_found_at_once() {
        let problems = problems("services:\n  web:\n    imge: x\n    ports: 5\n    read_only: []\n");
        let lines: BTreeSet<usize> = problems.iter().map(|(line, ..)| *line).collect();
        assert_eq!(lines, [3, 4, 5].into(), "{problems:?}");
    }

    #[test]
    fn doubles_are_found() {
        assert!(one("services:\n  web:\n    dns: [1.1.1.1, 1.1.1.1]\n").1.contains("twice"));
    }
}

//! A YAML document as a tree in which every node knows where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

/// A file that was read, for messages.
#[derive(Debug)]
pub(super) struct Source {
    /// As it is shown to people.
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Its lines may hold secrets, so that no message shows them.
    pub(super) private: bool,
}

impl Source {
    /// A file of which nothing is known but its name, for messages.
    pub(super) fn named(path: impl Into<PathBuf>) -> Rc<Self> {
        Rc::new(Self { path: path.into(), text: String::new(), private: true })
    }
}

/// A place in a file.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) source: Rc<Source>,
    /// From 1; 0 is the file as a whole.
    pub(super) line: usize,
    /// From 1.
    pub(super) column: usize,
}

impl Place {
    pub(super) fn of_file(source: &Rc<Source>) -> Self {
        Self { source: Rc::clone(source), line: 0, column: 0 }
    }

    /// The order in which people read: by file, then from top to bottom.
    pub(super) fn order(&self) -> (&PathBuf, usize, usize) {
        (&self.source.path, self.line, self.column)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.source.path.display())?;
        if self.line > 0 { write!(formatter, ":{}:{}", self.line, self.column) } else { Ok(()) }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What a tag of the Compose format asks of the merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    #[default]
    None,
    /// `!reset`: what earlier files say here is taken back, and this node says nothing.
    Reset,
    /// `!override`: what earlier files say here is replaced instead of merged.
    Override,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    pub(super) mark: Mark,
}

/// Nodes are equal when they mean the same, wherever they stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A mapping, sorted by key. The order of keys has no meaning in the format.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Map(BTreeMap<String, Entry>);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) node: Node,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Node {
    pub(super) fn new(value: Value, place: Place) -> Self {
        Self { value, place, mark: Mark::None }
    }

    pub(super) fn text(text: impl Into<String>, place: &Place) -> Self {
        Self::new(Value::Text(text.into()), place.clone())
    }

    pub(super) fn null(place: &Place) -> Self {
        Self::new(Value::Null, place.clone())
    }

    pub(super) fn bool(value: bool, place: &Place) -> Self {
        Self::new(Value::Bool(value), place.clone())
    }

    pub(super) fn map(place: &Place) -> Self {
        Self::new(Value::Map(Map::default()), place.clone())
    }

    pub(super) fn as_map(&self) -> Option<&Map> {
        if let Value::Map(map) = &self.value { Some(map) } else { None }
    }

    pub(super) fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Value::Map(map) = &mut self.value { Some(map) } else { None }
    }

    pub(super) fn as_list(&self) -> Option<&[Node]> {
        if let Value::List(list) = &self.value { Some(list) } else { None }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub(super) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// A scalar as text, as Compose turns numbers and switches into text where text is wanted.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Float(value) => Some(float_text(*value)),
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The node below a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.as_map()?.get(key))
    }

    /// The mapping below a key; nothing where there is none.
    pub(super) fn section_mut(&mut self, key: &str) -> Option<&mut Map> {
        self.as_map_mut()?.get_mut(key)?.as_map_mut()
    }

    /// What kind of value it is, in the words of a message.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// A number as Go's default format writes it: no exponent between 1e-4 and 1e21.
fn float_text(value: f64) -> String {
    if value == 0.0 || (1e-4..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|entry| &entry.node)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.get_mut(key).map(|entry| &mut entry.node)
    }

    /// The elements of the list below a key; nothing where there is none.
    pub(super) fn list_mut(&mut self, key: &str) -> &mut [Node] {
        match self.get_mut(key) {
            Some(Node { value: Value::List(list), .. }) => list,
            _ => &mut [],
        }
    }

    /// Where a key stands.
    pub(super) fn key(&self, key: &str) -> Option<&Place> {
        self.0.get(key).map(|entry| &entry.key)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Sets a key; its place is the node's where there is no better one.
    pub(super) fn set(&mut self, key: impl Into<String>, node: Node) {
        let place = node.place.clone();
        self.insert(key.into(), Entry { key: place, node });
    }

    pub(super) fn insert(&mut self, key: String, entry: Entry) -> Option<Entry> {
        self.0.insert(key, entry)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        self.0.remove(key)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Node) -> bool) {
        self.0.retain(|key, entry| keep(key, &mut entry.node));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), &entry.node))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.0.iter_mut().map(|(key, entry)| (key.as_str(), &mut entry.node))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = (String, Entry)> {
        self.0.into_iter()
    }
}

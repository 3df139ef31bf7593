//! A finished tree read into the types, as leniently as Compose reads it: a number where a text is wanted is its text,
//! `NAME=value` lists are mappings, one text is a list of one, nothing is the empty value. Errors have a place.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::problem::{Outcome, Problem};
use super::tree::{Entry, Map, Node, Place, Value};

/// Reads a node into a type.
pub(super) fn node<T: DeserializeOwned>(node: &Node) -> Outcome<T> {
    T::deserialize(Reader(node))
        .map_err(|error| Problem::new(error.place.as_ref().unwrap_or(&node.place), error.message))
}

/// Any tree as JSON: for `x-` keys, which are nobody's business.
pub(super) fn json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(map) => Json::Object(map.iter().map(|(key, node)| (key.to_owned(), json(node))).collect()),
    }
}

#[derive(Debug)]
struct Error {
    message: String,
    place: Option<Place>,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), place: None }
    }
}

impl Error {
    fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }
}

#[derive(Clone, Copy)]
struct Reader<'n>(&'n Node);

impl Reader<'_> {
    fn wrong(self, wanted: &str) -> Error {
        let found = self.0.scalar().map_or_else(|| self.0.kind().to_owned(), |text| format!("`{text}`"));
        de::Error::custom(format!("{wanted} must be here, and this is {found}"))
    }

    fn number<T: std::str::FromStr>(self, wanted: &str) -> Result<T, Error> {
        let text = match &self.0.value {
            Value::Null => "0".to_owned(),
            Value::Float(number) if number.fract() == 0.0 => format!("{number:.0}"),
            _ => self.0.scalar().ok_or_else(|| self.wrong(wanted))?,
        };
        text.parse().map_err(|_| self.wrong(wanted))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.number::<$type>("a whole number")?)
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = match &self.0.value {
            Value::Bool(value) => Some(*value),
            Value::Null => Some(false),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "y" | "yes" | "on" => Some(true),
                "false" | "n" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        };
        visitor.visit_bool(value.ok_or_else(|| self.wrong("true or false"))?)
    }

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number: f64 = self.number("a number")?;
        if number.is_finite() { visitor.visit_f64(number) } else { Err(self.wrong("a number")) }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() {
            return visitor.visit_str("");
        }
        visitor.visit_string(self.0.scalar().ok_or_else(|| self.wrong("a text"))?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let elements = match &self.0.value {
            Value::List(list) => list.as_slice(),
            Value::Null => &[],
            Value::Map(_) => return Err(self.wrong("a list")),
            _ => std::slice::from_ref(self.0),
        };
        visitor.visit_seq(Elements(elements.iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let pairs: Map;
        let map = match &self.0.value {
            Value::Map(map) => map,
            Value::Null => &Map::default(),
            Value::List(list) => {
                pairs = key_values(list)?;
                &pairs
            }
            _ => return Err(self.wrong("a mapping")),
        };
        visitor.visit_map(Entries { rest: map.entries(), entry: None, own_keys: true })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let empty = Map::default();
        let map = match &self.0.value {
            Value::Map(map) => map,
            Value::Null => &empty,
            _ => return Err(self.wrong("a mapping")),
        };
        visitor.visit_map(Entries { rest: map.entries(), entry: None, own_keys: false })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text = self.0.scalar().ok_or_else(|| self.wrong("a text"))?;
        let reader: StrDeserializer<'_, Error> = text.as_str().into_deserializer();
        visitor.visit_enum(reader)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// `NAME=value` texts; a bare name has no value.
fn key_values(list: &[Node]) -> Result<Map, Error> {
    let mut map = Map::default();
    for node in list {
        let Some(text) = node.scalar() else {
            return Err(Reader(node).wrong("`name=value`").at(&node.place));
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Node::text(value, &node.place)),
            None => (text.as_str(), Node::null(&node.place)),
        };
        if name.ends_with(char::is_whitespace) {
            let error: Error = de::Error::custom(format!("the name `{}` must not end with a space", name.trim_end()));
            return Err(error.at(&node.place));
        }
        map.set(name, value);
    }
    Ok(map)
}

struct Elements<'n>(std::slice::Iter<'n, Node>);

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match self.0.next() {
            Some(node) => seed.deserialize(Reader(node)).map(Some).map_err(|error| error.at(&node.place)),
            None => Ok(None),
        }
    }
}

struct Entries<'n, I> {
    rest: I,
    entry: Option<&'n Entry>,
    /// The keys are the user's own, so that those with `x-` are no extensions.
    own_keys: bool,
}

impl<'de, 'n, I: Iterator<Item = (&'n str, &'n Entry)>> de::MapAccess<'de> for Entries<'n, I> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let own_keys = self.own_keys;
        let Some((key, entry)) = self.rest.find(|(key, _)| own_keys || !key.starts_with("x-")) else {
            return Ok(None);
        };
        self.entry = Some(entry);
        let reader: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(reader).map(Some).map_err(|error| error.at(&entry.key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self.entry.take().ok_or_else(|| <Error as de::Error>::custom("a value without a key"))?;
        seed.deserialize(Reader(&entry.node)).map_err(|error| error.at(&entry.node.place))
    }
}

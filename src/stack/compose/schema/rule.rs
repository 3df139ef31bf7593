//! The part of JSON Schema that the Compose schema uses.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value as Json;

use crate::stack::compose::tree::Value;

#[derive(Default)]
pub(super) struct Rule {
    pub(super) reference: Option<String>,
    pub(super) types: Vec<Type>,
    pub(super) properties: BTreeMap<String, Rule>,
    pub(super) patterns: Vec<(Regex, Rule)>,
    /// `additionalProperties`: what the others must be, where anything is said of them.
    pub(super) additional: Others,
    /// `unevaluatedProperties: false`.
    pub(super) closed: bool,
    pub(super) items: Option<Box<Rule>>,
    pub(super) unique: bool,
    pub(super) allowed: Vec<Json>,
    pub(super) pattern: Option<Regex>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) required: Vec<String>,
    pub(super) one_of: Vec<Rule>,
    pub(super) any_of: Vec<Rule>,
    pub(super) all_of: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    Text,
    Integer,
    Number,
    Switch,
    List,
    Mapping,
    Null,
}

/// What is said of keys that no property and no pattern names.
#[derive(Default)]
pub(super) enum Others {
    #[default]
    Any,
    None,
    Are(Box<Rule>),
}

impl Rule {
    pub(super) fn compile(json: &Json) -> Result<Self, String> {
        let mut rule = Self::default();
        let object = json.as_object().ok_or_else(|| format!("{json} is no schema"))?;
        let rules =
            |json: &Json| json.as_array().into_iter().flatten().map(Self::compile).collect::<Result<Vec<_>, _>>();
        let regex = |text: &str| Regex::new(text).map_err(|error| error.to_string());
        let texts = |json: &Json| -> Vec<String> {
            let list = json.as_array().cloned().unwrap_or_else(|| vec![json.clone()]);
            list.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        };
        for (keyword, value) in object {
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" | "default" | "deprecated" => {}
                "$ref" => {
                    rule.reference = value.as_str().and_then(|text| text.strip_prefix("#/$defs/")).map(str::to_owned);
                    if rule.reference.is_none() {
                        return Err(format!("{value} refers to nothing known"));
                    }
                }
                "type" => rule.types = texts(value).iter().map(|text| Type::of(text)).collect::<Result<_, _>>()?,
                "properties" => {
                    for (name, property) in value.as_object().into_iter().flatten() {
                        rule.properties.insert(name.clone(), Self::compile(property)?);
                    }
                }
                "patternProperties" => {
                    for (pattern, property) in value.as_object().into_iter().flatten() {
                        rule.patterns.push((regex(pattern)?, Self::compile(property)?));
                    }
                }
                "additionalProperties" => {
                    rule.additional = match value {
                        Json::Bool(true) => Others::Any,
                        Json::Bool(false) => Others::None,
                        schema => Others::Are(Box::new(Self::compile(schema)?)),
                    }
                }
                "unevaluatedProperties" if *value == Json::Bool(false) => rule.closed = true,
                "items" => rule.items = Some(Box::new(Self::compile(value)?)),
                "uniqueItems" => rule.unique = *value == Json::Bool(true),
                "enum" => rule.allowed = value.as_array().cloned().unwrap_or_default(),
                "pattern" => rule.pattern = Some(regex(value.as_str().unwrap_or_default())?),
                "minimum" => rule.minimum = value.as_f64(),
                "maximum" => rule.maximum = value.as_f64(),
                "required" => rule.required = texts(value),
                "oneOf" => rule.one_of = rules(value)?,
                "anyOf" => rule.any_of = rules(value)?,
                "allOf" => rule.all_of = rules(value)?,
                unknown => return Err(format!("the keyword {unknown} is not understood")),
            }
        }
        Ok(rule)
    }
}

impl Type {
    fn of(name: &str) -> Result<Self, String> {
        Ok(match name {
            "string" => Self::Text,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Switch,
            "array" => Self::List,
            "object" => Self::Mapping,
            "null" => Self::Null,
            _ => return Err(format!("the type {name} is not understood")),
        })
    }

    pub(super) fn fits(self, value: &Value) -> bool {
        match value {
            Value::Null => self == Self::Null,
            Value::Bool(_) => self == Self::Switch,
            Value::Integer(_) => matches!(self, Self::Integer | Self::Number),
            Value::Float(number) => self == Self::Number || (self == Self::Integer && number.fract() == 0.0),
            Value::Text(_) => self == Self::Text,
            Value::List(_) => self == Self::List,
            Value::Map(_) => self == Self::Mapping,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Switch => "true or false",
            Self::List => "a list",
            Self::Mapping => "a mapping",
            Self::Null => "nothing",
        }
    }
}

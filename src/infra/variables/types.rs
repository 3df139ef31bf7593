//! Terraform's type constraints, as `variable` blocks write them
//! (<https://developer.hashicorp.com/terraform/language/expressions/type-constraints>).

use std::collections::BTreeMap;
use std::fmt;

use hcl_edit::expr::{Expression, FuncCall, ObjectKey};
use serde_json::Value;

/// What a variable may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Any,
    String,
    Number,
    Bool,
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<Self>),
    Tuple(Vec<Self>),
    /// Each attribute with its type, and whether it may be left out.
    Object(BTreeMap<String, (Self, bool)>),
}

/// A value that is not of its type: where in it, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Keys and indexes from the variable down.
    pub path: Vec<String>,
    pub message: String,
    pub hint: Option<String>,
}

impl Type {
    /// Reads a constraint.
    ///
    /// # Errors
    /// What is no type, in words.
    pub fn read(expression: &Expression) -> Result<Self, String> {
        let name = match expression {
            Expression::Variable(name) => name.as_str(),
            // How Terraform 0.11 wrote them.
            Expression::String(name) => name.as_str(),
            Expression::Parenthesis(inner) => return Self::read(inner.inner()),
            Expression::FuncCall(call) => return Self::of_call(call),
            _ => return Err("it is no type".to_owned()),
        };
        match name {
            "any" => Ok(Self::Any),
            "string" => Ok(Self::String),
            "number" => Ok(Self::Number),
            "bool" => Ok(Self::Bool),
            "list" => Ok(Self::List(Box::new(Self::Any))),
            "set" => Ok(Self::Set(Box::new(Self::Any))),
            "map" => Ok(Self::Map(Box::new(Self::Any))),
            other => Err(format!("there is no type `{other}`")),
        }
    }

    fn of_call(call: &FuncCall) -> Result<Self, String> {
        let name = call.name.name.as_str();
        let argument = || {
            let first = call.args.get(0).ok_or_else(|| format!("`{name}` needs a type in its parentheses"))?;
            Self::read(first).map(Box::new)
        };
        match (name, call.args.get(0)) {
            ("list", _) => Ok(Self::List(argument()?)),
            ("set", _) => Ok(Self::Set(argument()?)),
            ("map", _) => Ok(Self::Map(argument()?)),
            ("tuple", Some(Expression::Array(elements))) => {
                Ok(Self::Tuple(elements.iter().map(Self::read).collect::<Result<_, _>>()?))
            }
            ("object", Some(Expression::Object(attributes))) => {
                let attributes = attributes.iter().map(|(key, value)| {
                    let key = match key {
                        ObjectKey::Ident(name) | ObjectKey::Expression(Expression::Variable(name)) => name.as_str(),
                        ObjectKey::Expression(Expression::String(name)) => name.as_str(),
                        ObjectKey::Expression(_) => return Err("an attribute's name is no name".to_owned()),
                    };
                    Ok((key.to_owned(), Self::attribute(value.expr())?))
                });
                Ok(Self::Object(attributes.collect::<Result<_, String>>()?))
            }
            _ => Err(format!("there is no type `{name}(…)` of this form")),
        }
    }

    fn attribute(expression: &Expression) -> Result<(Self, bool), String> {
        if let Expression::FuncCall(call) = expression
            && call.name.name.as_str() == "optional"
        {
            let inner = call.args.get(0).ok_or("`optional` needs a type in its parentheses")?;
            return Ok((Self::read(inner)?, true));
        }
        Ok((Self::read(expression)?, false))
    }

    /// Whether a value is of this type. Stricter than Terraform, which turns a number into a text and leaves out
    /// attributes that it does not know: both are mistakes that show only later.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn check(&self, value: &Value) -> Vec<Mismatch> {
        let mut found = Vec::new();
        self.walk(value, &mut Vec::new(), &mut found);
        found
    }

    fn walk(&self, value: &Value, path: &mut Vec<String>, found: &mut Vec<Mismatch>) {
        let mut wrong = |path: &[String], message: String, hint: Option<String>| {
            found.push(Mismatch { path: path.to_vec(), message, hint });
        };
        match (self, value) {
            (Self::Any, _)
            | (_, Value::Null)
            | (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Bool, Value::Bool(_)) => {}
            (Self::List(of) | Self::Set(of), Value::Array(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    path.push(index.to_string());
                    of.walk(element, path, found);
                    path.pop();
                }
            }
            (Self::Tuple(types), Value::Array(elements)) if types.len() == elements.len() => {
                for (index, (of, element)) in types.iter().zip(elements).enumerate() {
                    path.push(index.to_string());
                    of.walk(element, path, found);
                    path.pop();
                }
            }
            (Self::Map(of), Value::Object(entries)) => {
                for (key, element) in entries {
                    path.push(key.clone());
                    of.walk(element, path, found);
                    path.pop();
                }
            }
            (Self::Object(attributes), Value::Object(entries)) => {
                for (name, (_, is_optional)) in attributes {
                    if !is_optional && !entries.contains_key(name) {
                        wrong(path, format!("`{name}` is missing; it is {}", attributes[name].0), None);
                    }
                }
                for (key, element) in entries {
                    path.push(key.clone());
                    match attributes.get(key) {
                        Some((of, _)) => of.walk(element, path, found),
                        None => {
                            let near = crate::settings::nearest(key, attributes.keys().map(String::as_str));
                            let known: Vec<&str> = attributes.keys().map(String::as_str).collect();
                            let hint = near.map_or_else(
                                || format!("There is {}.", known.join(", ")),
                                |near| format!("Did you mean `{near}`?"),
                            );
                            let message = format!("there is no attribute `{key}`");
                            found.push(Mismatch { path: path.clone(), message, hint: Some(hint) });
                        }
                    }
                    path.pop();
                }
            }
            (wanted, other) => {
                let hint = match (wanted, other) {
                    (Self::String, Value::Number(_) | Value::Bool(_)) => Some("Write it in quotes."),
                    (Self::Number | Self::Bool, Value::String(_)) => Some("Write it without quotes."),
                    (Self::List(_) | Self::Set(_), _) => Some("Write a list: [a, b], or a line `- a` for each."),
                    _ => None,
                };
                let message = format!("{wanted} is wanted, and it is {}", kind(other));
                wrong(path, message, hint.map(str::to_owned));
            }
        }
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(elements) => format!("a list of {}", elements.len()),
        Value::Object(_) => "a map".to_owned(),
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("anything"),
            Self::String => formatter.write_str("a text"),
            Self::Number => formatter.write_str("a number"),
            Self::Bool => formatter.write_str("true or false"),
            Self::List(of) => write!(formatter, "a list (each {of})"),
            Self::Set(of) => write!(formatter, "a set (each {of})"),
            Self::Map(of) => write!(formatter, "a map (each {of})"),
            Self::Tuple(of) => write!(formatter, "a list of {}", of.len()),
            Self::Object(attributes) => {
                let names: Vec<&str> = attributes.keys().map(String::as_str).collect();
                write!(formatter, "an object ({})", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Type {
        Type::read(&text.parse::<Expression>().unwrap()).unwrap()
    }

    #[test]
    fn every_form_of_a_type_is_read() {
        assert_eq!(read("string"), Type::String);
        assert_eq!(read("set(string)"), Type::Set(Box::new(Type::String)));
        assert_eq!(read("tuple([string, bool])"), Type::Tuple(vec![Type::String, Type::Bool]));
        let object = read("map(object({\n port = optional(number, 80) # why\n secrets = list(string)\n}))");
        let Type::Map(inner) = object else { panic!("{object:?}") };
        let Type::Object(attributes) = *inner else { panic!() };
        assert_eq!(attributes["port"], (Type::Number, true));
        assert_eq!(attributes["secrets"], (Type::List(Box::new(Type::String)), false));
        assert!(Type::read(&"strng".parse().unwrap()).unwrap_err().contains("strng"));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let of = read("object({ class = string, size = optional(number), zones = list(string) })");
        let wrong = |value: Value| {
            let all = of.check(&value);
            all.into_iter()
                .map(|one| (one.path.join("."), one.message, one.hint.unwrap_or_default()))
                .collect::<Vec<_>>()
        };
        assert_eq!(wrong(json!({"class": "m", "zones": ["a"]})), []);
        assert_eq!(wrong(json!({"class": null, "zones": [], "size": 1.5})), []);
        let found = wrong(json!({"class": 5, "siez": 1}));
        assert!(
            found.iter().any(|(path, message, _)| path.is_empty() && message.contains("`zones` is missing")),
            "{found:?}"
        );
        assert!(found.iter().any(|(path, _, hint)| path == "class" && hint.contains("quotes")), "{found:?}");
        assert!(found.iter().any(|(path, _, hint)| path == "siez" && hint == "Did you mean `size`?"), "{found:?}");
        assert_eq!(wrong(json!({"class": "m", "zones": ["a", true]}))[0].0, "zones.1");
        assert!(wrong(json!([1]))[0].1.contains("a list of 1"));
    }
}

use serde_json::{Map, Value};

use crate::failure::{Failure, Result};
use crate::settings::Secret;

/// What `streamify.yaml` says of a secret: its name, and with `name:key` one key of a value that is JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// A name below the environment's prefix, a whole name that begins with a slash, or an ARN.
    pub name: String,
    pub key: Option<String>,
}

/// Parts of an ARN of Secrets Manager; a key would be one more.
const ARN_PARTS: usize = 7;

impl Reference {
    /// Reads `name` or `name:key`.
    pub fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text.split(':').collect();
        let whole = if text.starts_with("arn:") { ARN_PARTS.min(parts.len()) } else { 1 };
        let key = parts.get(whole).filter(|key| !key.is_empty()).map(|key| (*key).to_owned());
        Self { name: parts[..whole].join(":"), key }
    }

    /// The value, or the key's.
    ///
    /// # Errors
    /// It is not a JSON object, or has no such key; what it is, is not said.
    pub fn pick(&self, whole: &Secret) -> Result<Secret> {
        let Some(key) = &self.key else { return Ok(whole.clone()) };
        let mut object = self.object(whole)?;
        match object.remove(key) {
            Some(Value::String(text)) => Ok(Secret::new(text)),
            // What ECS puts into a variable then: the JSON text.
            Some(other) => Ok(Secret::new(other.to_string())),
            None => {
                let known: Vec<&str> = object.keys().map(String::as_str).collect();
                Err(Failure::failed(format!("the secret {} has no key `{key}`", self.name))
                    .cause(format!("its keys are {}", known.join(", "))))
            }
        }
    }

    /// The whole value with this one in its place.
    ///
    /// # Errors
    /// A key of something that is not a JSON object.
    pub fn put(&self, whole: Option<&Secret>, value: &Secret) -> Result<Secret> {
        let Some(key) = &self.key else { return Ok(value.clone()) };
        let mut object = whole.map(|whole| self.object(whole)).transpose()?.unwrap_or_default();
        if let (Some(whole), Some(Value::String(before))) = (whole, object.get(key))
            && before == value.expose()
        {
            // Written anew, it would differ by its spaces alone.
            return Ok(whole.clone());
        }
        object.insert(key.clone(), Value::String(value.expose().to_owned()));
        Ok(Secret::new(Value::Object(object).to_string()))
    }

    fn object(&self, whole: &Secret) -> Result<Map<String, Value>> {
        // The parser's own error would show a piece of the value.
        serde_json::from_str(whole.expose()).map_err(|_| {
            Failure::failed(format!("the secret {} is not a JSON object", self.name))
                .cause(format!("`{self}` asks for one of its keys"))
                .hint(format!(
                    "Take the key away where it is named, or write JSON: streamify secrets set ENV {}",
                    self.name
                ))
        })
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(formatter, ":{key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_a_name_and_from_an_arn() {
        let parsed = |text: &str| {
            let reference = Reference::parse(text);
            assert_eq!(reference.to_string(), text);
            (reference.name, reference.key)
        };
        assert_eq!(parsed("database:url"), ("database".into(), Some("url".into())));
        assert_eq!(parsed("JWT_KEYS"), ("JWT_KEYS".into(), None));
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-a1b2c3";
        assert_eq!(parsed(arn), (arn.into(), None));
        assert_eq!(parsed(&format!("{arn}:password")), (arn.into(), Some("password".into())));
        assert_eq!(parsed("arn:aws:ssm:eu-west-1:1:parameter/a").1, None);
    }

    #[test]
    fn one_key_is_read_and_written_and_the_others_stay() {
        let reference = Reference::parse("db:password");
        let whole = reference.put(Some(&Secret::new(r#"{"user":"u","password":"old"}"#)), &Secret::new("new")).unwrap();
        assert_eq!(whole.expose(), r#"{"password":"new","user":"u"}"#);
        assert_eq!(reference.pick(&whole).unwrap().expose(), "new");
        assert_eq!(reference.put(None, &Secret::new("x")).unwrap().expose(), r#"{"password":"x"}"#);
        let port = Reference::parse("db:port");
        assert_eq!(port.pick(&Secret::new(r#"{"port":5432}"#)).unwrap().expose(), "5432");
        let failure = port.pick(&Secret::new("hunter2")).unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        assert!(port.pick(&whole).unwrap_err().causes[0].contains("password, user"));
    }
}

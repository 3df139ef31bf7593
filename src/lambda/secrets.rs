//! Secrets of a function: its configuration holds where they are, and the process reads them once, when it starts.
//!
//! `STREAMIFY_SECRET_JWT_KEYS=/streamify/prod/JWT_KEYS` gives the variable `JWT_KEYS` the value of that parameter.

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, try_join_all};

use crate::aws::Aws;
use crate::failure::{Failure, Result};
use crate::secrets::Reference;
use crate::settings::{Environment, Secret};

/// What stands before the variable's own name.
const PREFIX: &str = "STREAMIFY_SECRET_";
/// Names that one `GetParameters` takes.
const BATCH: usize = 10;

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A parameter of Systems Manager, by its path.
    Parameter(String),
    /// A secret of Secrets Manager, by its ARN.
    Managed(String),
}

/// A variable whose value is elsewhere.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    variable: String,
    place: Place,
    reference: Reference,
}

/// The environment with the values of all secrets that it names; read in parallel, each place once.
///
/// # Errors
/// A reference that is none, a secret that is not there or may not be read, with the variable's name.
pub async fn resolve(process: &Environment) -> Result<Environment> {
    let wanted = wanted(process)?;
    if wanted.is_empty() {
        return Ok(process.clone());
    }
    let values = read(&Aws::of_process(process).await?, &wanted).await?;
    let variables = wanted.iter().map(|one| {
        let whole = values.get(&one.place).ok_or_else(|| {
            Failure::failed(format!("can't find the secret of the variable {}", one.variable))
                .cause(format!("there is no parameter {}", one.reference.name))
                .hint("streamify secrets list ENV shows what there is.")
        })?;
        let value = one.reference.pick(whole).map_err(|failure| failure.cause(format!("for {}", one.variable)))?;
        Ok((one.variable.clone(), value.expose().to_owned()))
    });
    Ok(process.with(variables.collect::<Result<Vec<_>>>()?))
}

fn wanted(process: &Environment) -> Result<Vec<Wanted>> {
    let named = process.variables().iter().filter_map(|(name, text)| Some((name.strip_prefix(PREFIX)?, text)));
    named
        .filter(|(variable, text)| !variable.is_empty() && !text.is_empty())
        .map(|(variable, text)| {
            let (place, reference) = place(text).ok_or_else(|| {
                Failure::usage(format!("the variable {PREFIX}{variable} does not name a secret"))
                    .cause("it is neither a parameter's path nor the ARN of a parameter or a secret")
                    .hint("Such as /streamify/prod/JWT_KEYS, or arn:aws:secretsmanager:…:secret:name:key. Never the value.")
            })?;
            Ok(Wanted { variable: variable.to_owned(), place, reference })
        })
        .collect()
}

fn place(text: &str) -> Option<(Place, Reference)> {
    if text.starts_with('/') {
        let reference = Reference::parse(text);
        return Some((Place::Parameter(reference.name.clone()), reference));
    }
    let service = text.strip_prefix("arn:")?.split(':').nth(1)?;
    match service {
        "ssm" => place(text.split_once(":parameter")?.1),
        "secretsmanager" => {
            let reference = Reference::parse(text);
            Some((Place::Managed(reference.name.clone()), reference))
        }
        _ => None,
    }
}

/// Some of the values, by where they were.
type Values = Vec<(Place, Secret)>;

async fn read(aws: &Aws, wanted: &[Wanted]) -> Result<BTreeMap<Place, Secret>> {
    // Several keys of one secret are read once; who is named in a failure is the first that needs it.
    let mut places: BTreeMap<&Place, &str> = BTreeMap::new();
    for one in wanted {
        places.entry(&one.place).or_insert(&one.variable);
    }
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    let mut calls: Vec<BoxFuture<'_, Result<Values>>> = Vec::new();
    for (place, variable) in places {
        match place {
            Place::Parameter(name) => parameters.push((name, variable)),
            Place::Managed(arn) => calls.push(Box::pin(managed(aws, arn, variable))),
        }
    }
    for batch in parameters.chunks(BATCH) {
        let names = batch.iter().map(|(name, _)| (*name).to_owned()).collect();
        let variables = batch.iter().map(|(_, variable)| *variable).collect::<Vec<_>>().join(", ");
        calls.push(Box::pin(self::parameters(aws, names, variables)));
    }
    Ok(try_join_all(calls).await?.into_iter().flatten().collect())
}

async fn parameters(aws: &Aws, names: Vec<String>, variables: String) -> Result<Values> {
    let answer = aws.ssm().get_parameters().set_names(Some(names)).with_decryption(true).send().await;
    let answer = answer.map_err(|error| aws.failure(format!("can't read the secrets of {variables}"), &error))?;
    let found = answer.parameters.unwrap_or_default().into_iter();
    Ok(found.filter_map(|one| Some((Place::Parameter(one.name?), Secret::new(one.value?)))).collect())
}

async fn managed(aws: &Aws, arn: &str, variable: &str) -> Result<Values> {
    let answer = aws.secrets_manager().get_secret_value().secret_id(arn).send().await;
    let answer = answer.map_err(|error| aws.failure(format!("can't read the secret of {variable}"), &error))?;
    let value = answer.secret_string.ok_or_else(|| {
        Failure::failed(format!("can't read the secret of {variable}")).cause(format!("{arn} holds no text"))
    })?;
    Ok(vec![(Place::Managed(arn.to_owned()), Secret::new(value))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_and_values_are_none() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-a1b2c3";
        let environment = Environment::from([
            ("STREAMIFY_SECRET_JWT_KEYS", "/cinema/prod/jwt-keys"),
            ("STREAMIFY_SECRET_KEY", "arn:aws:ssm:eu-west-1:123456789012:parameter/cinema/prod/one:inner"),
            ("STREAMIFY_SECRET_PASSWORD", &format!("{arn}:password::")),
            ("STREAMIFY_SECRET_", "/nothing"),
            ("JWT", "x"),
        ]);
        let wanted = wanted(&environment).unwrap();
        let of = |name: &str| wanted.iter().find(|one| one.variable == name).unwrap();
        assert_eq!(wanted.len(), 3);
        assert_eq!(of("JWT_KEYS").place, Place::Parameter("/cinema/prod/jwt-keys".into()));
        assert_eq!(of("KEY").place, Place::Parameter("/cinema/prod/one".into()));
        assert_eq!(of("KEY").reference.key.as_deref(), Some("inner"));
        assert_eq!(of("PASSWORD").place, Place::Managed(arn.into()));
        assert_eq!(of("PASSWORD").reference.key.as_deref(), Some("password"));
        let failure = super::wanted(&Environment::from([("STREAMIFY_SECRET_X", "hunter2")])).unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2") && failure.message.contains("STREAMIFY_SECRET_X"));
    }
}

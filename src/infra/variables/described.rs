//! What the CDK's app takes: its `variables.json`, which is made of the checks that the app itself has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hcl_edit::expr::Expression;
use serde::Deserialize;

use super::root::{Declaration, Root};
use super::types::Type;
use crate::failure::{Failure, OrFail, Result};
use crate::settings::{Position, position};

/// An app, read.
#[derive(Debug)]
pub struct Described {
    /// Its variables, in the form that a Terraform root has them.
    pub root: Root,
    /// Variables that only Terraform's roots have a use for, each with the reason.
    pub only_terraform: BTreeMap<String, String>,
}

/// The file as it is written.
#[derive(Deserialize)]
struct Written {
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    only_terraform: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Variable {
    /// As Terraform writes types.
    r#type: String,
    #[serde(default)]
    optional: bool,
}

impl Described {
    /// Reads the file, or nothing where an app has none: then the app alone says what it takes.
    ///
    /// # Errors
    /// It can't be read, or is not of this form; a type that is none.
    pub fn read(project: &Path, app: &str, name: &str) -> Result<Option<Self>> {
        let shown = Path::new(app).join(name);
        let path = project.join(&shown);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).or_fail(|| format!("can't read {}", shown.display())),
        };
        let written: Written = serde_json::from_str(&text).map_err(|error| {
            Failure::usage(format!("{} does not say what the app takes", shown.display())).because(&error)
        })?;
        let mut variables = BTreeMap::new();
        for (name, variable) in written.variables {
            let keys = ["variables", &name, "type"].map(str::to_owned);
            let place = position(&path, &keys).map_or((1, 1), |place| (place.line, place.column));
            let position = Position { file: shown.clone(), line: place.0, column: place.1 };
            let expression = variable.r#type.parse::<Expression>().map_err(|error| error.message().to_owned());
            let of = expression.and_then(|expression| Type::read(&expression)).map_err(|why| {
                Failure::usage(format!("{position}: the type of the variable `{name}` is not valid")).cause(why)
            })?;
            let declaration = Declaration {
                of,
                has_default: variable.optional,
                is_nullable: variable.optional,
                is_sensitive: false,
                position,
            };
            variables.insert(name, declaration);
        }
        let root = Root { called: app.to_owned(), variables, backend: None, set_elsewhere: BTreeSet::new() };
        Ok(Some(Self { root, only_terraform: written.only_terraform }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_projects_own_app_is_read_whole() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let described = Described::read(project, "infra/cdk", "variables.json").unwrap().unwrap();
        let variables = &described.root.variables;
        assert!(!variables["services"].has_default && variables["database"].has_default);
        assert!(matches!(variables["database"].of, Type::Object(_)));
        assert!(variables["cidr"].position.to_string().starts_with("infra/cdk/variables.json:"));
        assert!(described.only_terraform.contains_key("state"));
        assert!(Described::read(project, "infra", "variables.json").unwrap().is_none());
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = |text: &str| {
            fs::write(folder.path().join("v.json"), text).unwrap();
            Described::read(folder.path(), "", "v.json").unwrap_err()
        };
        assert!(wrong("{").message.contains("v.json does not say"));
        let failure = wrong("{\"variables\": {\n  \"a\": {\"type\": \"strng\"}}}");
        assert!(failure.message.starts_with("v.json:2:"), "{failure:?}");
        assert!(failure.causes[0].contains("strng"), "{failure:?}");
    }
}

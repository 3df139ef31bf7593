//! What a Terraform root declares, read from its files: variables, with their places, and whether it has a backend.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hcl_edit::Span;
use hcl_edit::structure::{Block, Body};

use super::types::Type;
use crate::failure::{Failure, OrFail, Result};
use crate::settings::Position;

/// One `variable` block.
#[derive(Clone, Debug)]
pub struct Declaration {
    pub of: Type,
    pub has_default: bool,
    pub is_nullable: bool,
    pub is_sensitive: bool,
    pub position: Position,
}

/// A root's folder, read.
#[derive(Clone, Debug, Default)]
pub struct Root {
    /// What messages call it.
    pub called: String,
    pub variables: BTreeMap<String, Declaration>,
    /// The type of its backend, such as `s3`.
    pub backend: Option<String>,
    /// Variables that other files of values in the root set.
    pub set_elsewhere: BTreeSet<String>,
}

impl Root {
    /// Reads every `.tf` file of the folder, and the names in files of values besides `own`.
    ///
    /// # Errors
    /// No such folder; a file that is no HCL, with line and column; a type that is none.
    pub fn read(folder: &Path, shown: &Path, own: &str) -> Result<Self> {
        let mut root = Self { called: "the root".to_owned(), ..Self::default() };
        let entries = fs::read_dir(folder).or_fail(|| format!("can't read the folder {}", shown.display()))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        for name in &names {
            let file = shown.join(name);
            let read = || fs::read_to_string(folder.join(name)).or_fail(|| format!("can't read {}", file.display()));
            let is_values = name == "terraform.tfvars" || name.ends_with(".auto.tfvars");
            if is_code(name) {
                let text = read()?;
                let body = parse(&text, &file)?;
                for block in body.blocks() {
                    root.block(block, &text, &file)?;
                }
            } else if is_values {
                let text = read()?;
                let body = parse(&text, &file)?;
                root.set_elsewhere.extend(body.attributes().map(|attribute| attribute.key.as_str().to_owned()));
            } else if name != own && (name == "terraform.tfvars.json" || name.ends_with(".auto.tfvars.json")) {
                let values: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&read()?)
                    .map_err(|error| Failure::usage(format!("{} is no JSON object", file.display())).because(&error))?;
                root.set_elsewhere.extend(values.into_iter().map(|(name, _)| name));
            }
        }
        if !names.iter().any(|name| is_code(name) || name.ends_with(".tf.json")) {
            return Err(Failure::usage(format!("{} has no Terraform files", shown.display())));
        }
        Ok(root)
    }

    fn block(&mut self, block: &Block, text: &str, file: &Path) -> Result<()> {
        match (block.ident.as_str(), block.labels.first()) {
            ("terraform", _) => {
                let backend = block.body.get_blocks("backend").next().and_then(|backend| backend.labels.first());
                if let Some(label) = backend {
                    self.backend = Some(label.as_str().to_owned());
                }
            }
            ("variable", Some(name)) => {
                let position = place(block.span().map_or(0, |span| span.start), text, file);
                let of = match block.body.get_attribute("type") {
                    None => Type::Any,
                    Some(attribute) => Type::read(&attribute.value).map_err(|why| {
                        let position = place(attribute.value.span().map_or(0, |span| span.start), text, file);
                        Failure::usage(format!("{position}: the type of the variable `{}` is not valid", name.as_str()))
                            .cause(why)
                    })?,
                };
                let flag = |key: &str, default| {
                    let written = block.body.get_attribute(key).and_then(|attribute| attribute.value.as_bool());
                    written.unwrap_or(default)
                };
                let declaration = Declaration {
                    of,
                    has_default: block.body.has_attribute("default"),
                    is_nullable: flag("nullable", true),
                    is_sensitive: flag("sensitive", false),
                    position,
                };
                self.variables.insert(name.as_str().to_owned(), declaration);
            }
            _ => {}
        }
        Ok(())
    }
}

fn parse(text: &str, file: &Path) -> Result<Body> {
    text.parse::<Body>().map_err(|error| {
        let location = error.location();
        let place = format!("{}:{}:{}", file.display(), location.line(), location.column());
        Failure::usage(format!("{place}: this is no valid HCL")).cause(error.message().to_owned()).cause(format!(
            "{}\n{}^",
            error.line(),
            " ".repeat(location.column().saturating_sub(1))
        ))
    })
}

fn place(offset: usize, text: &str, file: &Path) -> Position {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { file: file.to_owned(), line, column }
}

/// Whether Terraform reads a file as its own language: it tells by the name, in lower case.
fn is_code(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "tf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_with_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("main.tf", "terraform {\n  backend \"s3\" {}\n}\nresource \"x\" \"y\" {}\n");
        write(
            "variables.tf",
            "variable \"a\" { type = string }\n\n  variable \"b\" {\n  default = 1\n  sensitive = true\n  nullable = false\n}\n",
        );
        write("terraform.tfvars", "a = \"x\"\n");
        write("streamify.auto.tfvars.json", "{\"own\": 1}");
        let shown = Path::new("root");
        let root = Root::read(folder.path(), shown, "streamify.auto.tfvars.json").unwrap();
        assert_eq!(root.backend.as_deref(), Some("s3"));
        assert_eq!(root.set_elsewhere, BTreeSet::from(["a".to_owned()]));
        let b = &root.variables["b"];
        assert!(b.has_default && b.is_sensitive && !b.is_nullable && b.of == Type::Any);
        assert_eq!(b.position.to_string(), "root/variables.tf:3:3");

        write("variables.tf", "variable \"a\" {\n  type = strng\n}\n");
        let failure = Root::read(folder.path(), shown, "").unwrap_err();
        assert!(failure.message.starts_with("root/variables.tf:2:10:"), "{failure:?}");
        write("variables.tf", "variable \"a\" {\n  type = \n}\n");
        let failure = Root::read(folder.path(), shown, "").unwrap_err();
        assert!(failure.message.starts_with("root/variables.tf:2:"), "{failure:?}");
    }
}

//! The plan that is kept between `plan` and `apply`, and whether it still says what would happen.
//!
//! A plan file holds values of the state in clear, secrets as well: it is readable by its owner alone, in a folder of the
//! same kind, and removed as soon as it is applied.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::render::write_whole;
use crate::failure::{OrFail, Result};
use crate::settings::Environment;

/// What a plan is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    Apply,
    Destroy,
}

/// What a plan was made of. It is fresh as long as all of it is the same.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Basis {
    pub purpose: Purpose,
    /// SHA-256, in hexadecimal, of everything that Terraform reads but the state.
    pub inputs: String,
    /// The state's own count of its versions; none before the first apply.
    pub serial: Option<u64>,
    /// Another one is another state.
    pub lineage: Option<String>,
    /// Terraform's version: another one does not read the file.
    pub version: String,
}

/// A plan file with what it was made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Saved {
    pub basis: Basis,
    pub made_at: Timestamp,
    /// Only these, where not everything was planned.
    pub targets: Vec<String>,
}

/// The plan file of an environment.
pub fn plan_file(folder: &Path) -> PathBuf {
    folder.join("plan")
}

fn record(folder: &Path) -> PathBuf {
    folder.join("plan.json")
}

impl Saved {
    /// The one that is there, unless it can't be read: then it is as good as none.
    pub fn load(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(record(folder)).ok().filter(|_| plan_file(folder).is_file())?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps what a plan file was made of, and the file from everybody else.
    ///
    /// # Errors
    /// The folder can't be written to.
    pub fn store(&self, folder: &Path) -> Result<()> {
        let file = plan_file(folder);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
            .or_fail(|| format!("can't protect {}", file.display()))?;
        let text = serde_json::to_vec_pretty(self).or_fail(|| "can't write the plan's record".to_owned())?;
        write_whole(&record(folder), &text, 0o600)
    }

    /// Why it is not what would happen now; none while it is.
    pub fn stale(&self, now: &Basis) -> Option<&'static str> {
        let then = &self.basis;
        if then.lineage != now.lineage && then.lineage.is_some() {
            Some("it was made for another state")
        } else if then.serial != now.serial || then.lineage != now.lineage {
            Some("the state has changed since")
        } else if then.inputs != now.inputs {
            Some("the configuration or its variables have changed since")
        } else if then.version != now.version {
            Some("another version of Terraform made it")
        } else {
            None
        }
    }
}

/// Takes the plan away; one that is not there is no failure.
pub fn forget(folder: &Path) {
    let _ = fs::remove_file(record(folder));
    let _ = fs::remove_file(plan_file(folder));
}

/// Serial and lineage of what `terraform state pull` prints; nothing where there is no state yet.
pub fn serial(text: &str) -> (Option<u64>, Option<String>) {
    let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let lineage = value.get("lineage").and_then(Value::as_str).filter(|text| !text.is_empty());
    (value.get("serial").and_then(Value::as_u64), lineage.map(str::to_owned))
}

/// The hash of everything that Terraform reads: the root, its local modules, and variables of the process.
///
/// # Errors
/// A file can't be read.
pub fn inputs(root: &Path, process: &Environment) -> Result<String> {
    let mut files = BTreeSet::new();
    for folder in modules(root) {
        collect(&folder, &mut files);
    }
    let mut hash = Sha256::new();
    for file in files {
        let mut bytes = Vec::new();
        let read = fs::File::open(&file).and_then(|mut opened| opened.read_to_end(&mut bytes));
        read.or_fail(|| format!("can't read {}", file.display()))?;
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    for (name, value) in
        process.variables().iter().filter(|(name, _)| name.starts_with("TF_VAR_") || *name == "TF_WORKSPACE")
    {
        hash.update(name.as_bytes());
        hash.update((value.len() as u64).to_le_bytes());
        hash.update(value.as_bytes());
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// The root and the folders of its modules, as `terraform init` has noted them.
fn modules(root: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(root.join(".terraform/modules/modules.json")).unwrap_or_default();
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let noted = value.get("Modules").and_then(Value::as_array).cloned().unwrap_or_default();
    let folders = noted.iter().filter_map(|module| module.get("Dir")?.as_str().map(|folder| root.join(folder)));
    let all: BTreeSet<PathBuf> =
        folders.chain([root.to_owned()]).map(|folder| fs::canonicalize(&folder).unwrap_or(folder)).collect();
    all.into_iter().collect()
}

/// Every file below, but what Terraform itself writes there.
fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_own = name == ".terraform"
            || name == ".git"
            || name == "node_modules"
            || name.contains(".tfstate")
            || name.ends_with(".md")
            || name == ".terraform.lock.hcl";
        if is_own {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.is_file() {
            files.insert(path);
        }
    }
}

/// A hash as text.
pub(super) fn hexadecimal(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_fresh_until_something_that_it_was_made_of_changes() {
        let basis = Basis {
            purpose: Purpose::Apply,
            inputs: "a".into(),
            serial: Some(3),
            lineage: Some("l".into()),
            version: "1.11.4".into(),
        };
        let saved = Saved { basis: basis.clone(), made_at: Timestamp::UNIX_EPOCH, targets: Vec::new() };
        assert_eq!(saved.stale(&basis), None);
        let stale = |change: &dyn Fn(&mut Basis)| {
            let mut now = basis.clone();
            change(&mut now);
            saved.stale(&now).unwrap()
        };
        assert!(stale(&|now| now.serial = Some(4)).contains("state"));
        assert!(stale(&|now| now.lineage = Some("m".into())).contains("another state"));
        assert!(stale(&|now| now.inputs = "b".into()).contains("configuration"));
        assert!(stale(&|now| now.version = "2.0.0".into()).contains("version"));
    }

    #[test]
    fn every_input_counts_and_terraforms_own_files_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join(".terraform/modules")).unwrap();
        fs::create_dir_all(folder.path().join("module/templates")).unwrap();
        fs::write(root.join("main.tf"), "a").unwrap();
        fs::write(
            root.join(".terraform/modules/modules.json"),
            r#"{"Modules":[{"Key":"m","Source":"../module","Dir":"../module"}]}"#,
        )
        .unwrap();
        let none = Environment::from([]);
        let hash = |process: &Environment| inputs(&root, process).unwrap();
        let first = hash(&none);
        fs::write(root.join("terraform.tfstate"), "x").unwrap();
        assert_eq!(hash(&none), first);
        fs::write(folder.path().join("module/templates/policy.json"), "x").unwrap();
        let second = hash(&none);
        assert_ne!(second, first);
        assert_ne!(hash(&Environment::from([("TF_VAR_a", "1")])), second);
    }
}

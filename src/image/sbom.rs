//! The list of contents: crates of the program and files of the image, as `CycloneDX` 1.6 has it
//! (<https://cyclonedx.org/docs/1.6/json/>).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::digest::Digest;
use super::facts::Facts;

/// The crates that this program was built with.
pub(super) const OWN_CRATES: &str = include_str!("../../Cargo.lock");

/// The document of an image. `lock` is the text of a `Cargo.lock`; `files` are paths in the image with their digests.
pub(super) fn document(
    name: &str,
    version: Option<&str>,
    facts: &Facts,
    lock: Option<&str>,
    files: &BTreeMap<String, Digest>,
) -> Value {
    let packages = lock.map(packages).unwrap_or_default();
    let mut components: Vec<Value> = packages.iter().map(Package::component).collect();
    components.extend(files.iter().map(|(path, digest)| {
        json!({
            "type": "file",
            "bom-ref": format!("file:/{path}"),
            "name": format!("/{path}"),
            "hashes": [{ "alg": "SHA-256", "content": digest.hex() }],
        })
    }));
    let dependencies: Vec<Value> = packages
        .iter()
        .map(|package| json!({ "ref": package.reference(), "dependsOn": package.resolve(&packages) }))
        .collect();
    let mut image = json!({ "type": "container", "bom-ref": "image", "name": name });
    if let Some(version) = version.or(facts.version.as_deref()) {
        image["version"] = version.into();
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": facts.created_text(),
            "component": image,
            "tools": { "components": [
                { "type": "application", "name": "streamify", "version": env!("CARGO_PKG_VERSION") },
            ] },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// A package of a `Cargo.lock`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    dependencies: Vec<String>,
}

impl Package {
    /// Its package URL (<https://github.com/package-url/purl-spec>); `+` means a space there and is written in full.
    fn reference(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version.replace('+', "%2B"))
    }

    fn component(&self) -> Value {
        let mut component = json!({
            "type": "library",
            "bom-ref": self.reference(),
            "name": self.name,
            "version": self.version,
            "purl": self.reference(),
        });
        if let Some(checksum) = &self.checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    }

    /// A dependency is its name, with the version only where there are several.
    fn resolve(&self, all: &[Self]) -> Vec<String> {
        let find = |text: &String| {
            let mut words = text.split(' ');
            let (name, version) = (words.next()?, words.next());
            let is_it =
                |package: &&Self| package.name == name && version.is_none_or(|version| package.version == version);
            all.iter().find(is_it).map(Self::reference)
        };
        self.dependencies.iter().filter_map(find).collect()
    }
}

/// Cargo writes the file in one form only, a key a line, so no reader of all of TOML is needed.
fn packages(lock: &str) -> Vec<Package> {
    let quoted = |text: &str| text.trim().trim_end_matches(',').trim_matches('"').to_owned();
    let mut packages = Vec::new();
    for block in lock.split("[[package]]").skip(1) {
        let mut package = Package::default();
        let mut is_list = false;
        for line in block.lines() {
            match line.split_once(" = ") {
                Some(("name", value)) => package.name = quoted(value),
                Some(("version", value)) => package.version = quoted(value),
                Some(("checksum", value)) => package.checksum = Some(quoted(value)),
                Some(("dependencies", _)) => is_list = true,
                _ if line.starts_with(']') => is_list = false,
                _ if line.starts_with('[') => break,
                _ if is_list => package.dependencies.push(quoted(line)),
                _ => {}
            }
        }
        packages.push(package);
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_crates_are_all_there_with_what_they_need() {
        let packages = packages(OWN_CRATES);
        assert!(packages.len() > 100);
        assert!(packages.iter().all(|package| !package.name.is_empty() && package.version.contains('.')));
        let own = packages.iter().find(|package| package.name == "streamify").unwrap();
        assert_eq!(own.resolve(&packages).len(), own.dependencies.len());
        assert!(own.resolve(&packages).iter().any(|one| one.starts_with("pkg:cargo/clap@")));
    }

    #[test]
    fn files_stand_beside_crates() {
        let files = BTreeMap::from([("srv/index.html".to_owned(), Digest::of(b"x"))]);
        let document = document("shop", None, &Facts::default(), None, &files);
        assert_eq!(document["components"][0]["name"], "/srv/index.html");
        assert_eq!(document["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
    }
}

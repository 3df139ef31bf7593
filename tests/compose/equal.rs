//! The same verdict and equal meaning.
//!
//! Equal meaning is equal JSON, but for this: numbers are compared by value; Docker Compose leaves the models out of
//! its JSON (its YAML has them), writes the keys of block devices with a capital letter, and doubles a `$` in keys too,
//! where it is not read as a variable.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Case, cases, on_each, text};

/// Where two documents differ, if they do. Numbers are compared by value: `2` and `2.0` mean the same.
fn difference(path: &str, ours: &Value, peers: &Value) -> Option<String> {
    match (ours, peers) {
        (Value::Object(ours), Value::Object(peers)) => {
            let keys: std::collections::BTreeSet<&String> = ours.keys().chain(peers.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = format!("{path}.{key}");
                match (ours.get(key), peers.get(key)) {
                    (Some(ours), Some(peers)) => difference(&path, ours, peers),
                    (Some(ours), None) => Some(format!("{path} is {ours}, and missing there")),
                    (None, peers) => Some(format!("{path} is missing, and {} there", peers.unwrap_or(&Value::Null))),
                }
            })
        }
        (Value::Array(ours), Value::Array(peers)) if ours.len() == peers.len() => {
            let mut pairs = ours.iter().zip(peers).enumerate();
            pairs.find_map(|(index, (ours, peers))| difference(&format!("{path}[{index}]"), ours, peers))
        }
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => None,
        _ if ours == peers => None,
        _ => Some(format!("{path} is {ours}, and {peers} there")),
    }
}

/// Takes out of ours what Docker Compose does not write, and writes theirs as the format does.
fn normalise(ours: &mut Value, peers: &mut Value) {
    if let Some(ours) = ours.as_object_mut() {
        ours.remove("models");
    }
    for (_, service) in peers["services"].as_object_mut().unwrap() {
        if let Some(labels) = service.get_mut("labels").and_then(Value::as_object_mut) {
            *labels = std::mem::take(labels).into_iter().map(|(key, value)| (key.replace("$$", "$"), value)).collect();
        }
        let Some(limits) = service.get_mut("blkio_config").and_then(Value::as_object_mut) else { continue };
        for device in limits.values_mut().filter_map(Value::as_array_mut).flatten() {
            let keys = std::mem::take(device.as_object_mut().unwrap());
            *device = keys.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
        }
    }
}

#[test]
fn valid_files_mean_the_same() {
    let cases = cases("valid");
    assert!(cases.len() > 80, "{} cases", cases.len());
    let wrong = on_each(&cases, |case| {
        let (ours, peers) = (case.ours(), case.peers());
        if !peers.status.success() {
            return Some(format!("Docker Compose refuses it: {}", text(&peers.stderr)));
        }
        if !ours.status.success() {
            return Some(format!("it is refused: {}", text(&ours.stderr)));
        }
        let mut ours = serde_json::from_slice(&ours.stdout).unwrap();
        let mut peers = serde_json::from_slice(&peers.stdout).unwrap();
        normalise(&mut ours, &mut peers);
        difference("", &ours, &peers)
    });
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn what_is_printed_means_the_same_when_it_is_read_again() {
    let mut cases = cases("valid");
    // It waits for a service that its profiles left out, and that is not printed: Docker Compose's output is the same.
    cases.retain(|case| !case.name.ends_with("/profiles-optional-dependency.yaml"));
    let wrong = on_each(&cases, |case| {
        let first = case.ours();
        let project: Value = serde_json::from_slice(&first.stdout).unwrap();
        let printed = case.run(Path::new(env!("CARGO_BIN_EXE_streamify")), &["dev", "config", "--quiet"], &[]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("compose.yaml"), &printed.stdout).unwrap();
        // What the profiles did not select is not printed; what they did select needs them again.
        let again = Case {
            name: case.name.clone(),
            folder: folder.path().to_path_buf(),
            arguments: ["--profile", "*"].map(str::to_owned).to_vec(),
            services: Vec::new(),
            environment: case
                .environment
                .clone()
                .into_iter()
                .filter(|(name, _)| !name.starts_with("COMPOSE_"))
                .collect(),
        };
        let second = again.ours();
        if !second.status.success() {
            return Some(format!("it is refused: {}{}", text(&second.stderr), text(&printed.stdout)));
        }
        difference("", &serde_json::from_slice(&second.stdout).unwrap(), &project)
    });
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn invalid_files_are_refused_by_both() {
    let cases = cases("invalid");
    assert!(cases.len() > 80, "{} cases", cases.len());
    let wrong = on_each(&cases, |case| {
        let (ours, peers) = (case.ours(), case.peers());
        if peers.status.success() {
            return Some(format!("Docker Compose accepts it: {}", text(&peers.stdout)));
        }
        match ours.status.code() {
            Some(2) => None,
            code => Some(format!("it ends with {code:?}: {}{}", text(&ours.stdout), text(&ours.stderr))),
        }
    });
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_comparison_finds_differences() {
    let differ = |ours: Value, peers: Value| difference("", &ours, &peers).is_some();
    assert!(!differ(serde_json::json!({"a": [1, {"b": 2.0}]}), serde_json::json!({"a": [1.0, {"b": 2}]})));
    assert!(differ(serde_json::json!({"a": null}), serde_json::json!({})));
    assert!(differ(serde_json::json!([1, 2]), serde_json::json!([2, 1])));
    assert!(differ(serde_json::json!("1"), serde_json::json!(1)));
}

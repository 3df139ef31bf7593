//! The same verdict and equal meaning.
//!
//! Equal meaning is equal JSON, but for this: numbers are compared by value; Docker Compose leaves the models out of
//! its JSON (its YAML has them), and writes the keys of block devices with a capital letter.

use serde_json::Value;

use super::{cases, on_each, text};

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

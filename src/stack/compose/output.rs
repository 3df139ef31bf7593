//! A project as text: the same meaning as what `docker compose config` prints.

use serde_json::Value as Json;

use super::model::Project;
use crate::failure::{Failure, Result};

/// The project as JSON, in the shape of `docker compose config --format json`.
///
/// Every `$` of a value is doubled, so that the output read again as a Compose file means the same.
pub fn json(project: &Project) -> Result<Json> {
    let mut json = serde_json::to_value(project)
        .map_err(|error| Failure::failed("can't write the project as JSON").because(&error))?;
    // Compose always writes these two, since nothing and an empty list mean different things.
    for section in ["services", "jobs"] {
        for (_, service) in json.get_mut(section).and_then(Json::as_object_mut).into_iter().flatten() {
            always(service, &["command", "entrypoint"]);
            for hook in service.get_mut("pre_start").and_then(Json::as_array_mut).into_iter().flatten() {
                always(hook, &["command", "entrypoint"]);
            }
            for key in ["post_start", "pre_stop"] {
                for hook in service.get_mut(key).and_then(Json::as_array_mut).into_iter().flatten() {
                    always(hook, &["command"]);
                }
            }
            let watch = service.get_mut("develop").and_then(|develop| develop.get_mut("watch"));
            for rule in watch.and_then(Json::as_array_mut).into_iter().flatten() {
                if let Some(rule) = rule.as_object_mut() {
                    always(
                        rule.entry("exec").or_insert_with(|| Json::Object(serde_json::Map::default())),
                        &["command"],
                    );
                }
            }
        }
    }
    escape(&mut json);
    Ok(json)
}

/// The project as YAML.
pub fn yaml(project: &Project) -> Result<String> {
    serde_saphyr::to_string(&json(project)?)
        .map_err(|error| Failure::failed("can't write the project as YAML").because(&error))
}

fn always(service: &mut Json, keys: &[&str]) {
    if let Some(service) = service.as_object_mut() {
        for key in keys {
            service.entry(*key).or_insert(Json::Null);
        }
    }
}

fn escape(json: &mut Json) {
    match json {
        Json::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Json::Array(list) => list.iter_mut().for_each(escape),
        Json::Object(map) => map.values_mut().for_each(escape),
        _ => {}
    }
}

//! The calls of Lambda's API that a deploy needs
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html>).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::{Aws, Call, Service};
use crate::failure::{Failure, Result};

/// How long Lambda may take to make a function or a version ready.
const READY: Duration = Duration::from_secs(300);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(500);
/// How long uploading a program may take.
const UPLOAD: Duration = Duration::from_secs(600);

/// A function, or a version of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Configuration {
    /// Of the version, with its number, where one was asked for.
    pub(super) function_arn: String,
    /// `$LATEST`, or a number.
    pub(super) version: String,
    /// SHA-256 of the zip file, in base64.
    pub(super) code_sha256: String,
    pub(super) runtime: String,
    pub(super) package_type: String,
    /// `x86_64` or `arm64`.
    pub(super) architectures: Vec<String>,
    pub(super) last_modified: String,
    state: Option<String>,
    state_reason: Option<String>,
    last_update_status: Option<String>,
    last_update_status_reason: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// What Terraform sets of a function and a version keeps, beside its code.
const SETTINGS: [&str; 11] = [
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "KMSKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Timeout",
    "VpcConfig",
];

impl Configuration {
    /// The settings by field; variables as `environment.NAME`.
    pub(super) fn settings(&self) -> BTreeMap<String, Value> {
        let mut leaves = BTreeMap::new();
        for name in SETTINGS {
            if let Some(value) = self.rest.get(name) {
                let (first, rest) = name.split_at(1);
                flatten(&format!("{}{rest}", first.to_lowercase()), value, &mut leaves);
            }
        }
        leaves.insert("architectures".to_owned(), json!(self.architectures));
        leaves.insert("runtime".to_owned(), json!(self.runtime));
        leaves
    }
}

fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                // Variables are known by their own names; in `environment` there is nothing else.
                let path = if key == "Variables" { path.to_owned() } else { format!("{path}.{key}") };
                flatten(&path, value, leaves);
            }
        }
        Value::Null => {}
        Value::Array(entries) if entries.is_empty() => {}
        Value::String(text) if text.is_empty() => {}
        other => {
            leaves.insert(path.to_owned(), other.clone());
        }
    }
}

/// An alias, and who gets its traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Alias {
    pub(super) function_version: String,
    pub(super) revision_id: String,
    routing_config: Option<Routing>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Routing {
    additional_version_weights: Option<BTreeMap<String, f64>>,
}

impl Alias {
    /// Versions beside the alias's own, with their share of the traffic, from 0 to 1.
    pub(super) fn weights(&self) -> BTreeMap<String, f64> {
        let routing = self.routing_config.clone().unwrap_or_default();
        let mut weights = routing.additional_version_weights.unwrap_or_default();
        weights.retain(|_, weight| *weight > 0.0);
        weights
    }
}

/// Lambda's API for one account and region.
#[derive(Clone, Copy)]
pub(super) struct Api<'a> {
    pub(super) aws: &'a Aws,
}

impl Api<'_> {
    fn path(function: &str, rest: &str) -> String {
        format!("/2015-03-31/functions/{}{rest}", Call::part(function))
    }

    async fn send<T: for<'de> Deserialize<'de>>(&self, call: Call, doing: &str) -> Result<T> {
        let reply = self.aws.accepted(&call, doing).await?;
        T::deserialize(reply.json(doing)?)
            .map_err(|error| Failure::failed(doing).cause("the answer is not one of Lambda").because(&error))
    }

    /// A function as it is, or one of its versions.
    pub(super) async fn configuration(&self, function: &str, version: Option<&str>) -> Result<Configuration> {
        let query = version.map(|version| format!("?Qualifier={}", Call::part(version))).unwrap_or_default();
        let path = Self::path(function, &format!("/configuration{query}"));
        let doing = format!("can't look at the function {function}");
        let call = Call::new(Service::Lambda, Method::GET, path);
        let reply = self.aws.call(&call, &doing).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Err(self
                .aws
                .refused_by(&reply, &doing)
                .hint("Terraform makes the functions: run `streamify infra apply` for this environment first."));
        }
        if !reply.status.is_success() {
            return Err(self.aws.refused_by(&reply, &doing));
        }
        Configuration::deserialize(reply.json(&doing)?)
            .map_err(|error| Failure::failed(doing).cause("the answer is not one of Lambda").because(&error))
    }

    /// An alias of a function; None where there is none of that name.
    pub(super) async fn alias(&self, function: &str, alias: &str) -> Result<Option<Alias>> {
        let doing = format!("can't look at the alias {alias} of {function}");
        let path = Self::path(function, &format!("/aliases/{}", Call::part(alias)));
        let reply = self.aws.call(&Call::new(Service::Lambda, Method::GET, path), &doing).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !reply.status.is_success() {
            return Err(self.aws.refused_by(&reply, &doing));
        }
        let alias = Alias::deserialize(reply.json(&doing)?);
        alias.map(Some).map_err(|error| Failure::failed(doing).because(&error))
    }

    /// Uploads a program; the alias and its versions stay as they are.
    pub(super) async fn upload(&self, function: &str, zip: &[u8]) -> Result<()> {
        let doing = format!("can't upload the program of {function}");
        let call = Call::new(Service::Lambda, Method::PUT, Self::path(function, "/code"));
        let call = call.timeout(UPLOAD).json(&json!({ "ZipFile": STANDARD.encode(zip) }));
        self.send::<Configuration>(call, &doing).await?;
        Ok(())
    }

    /// Makes a version of what the function is now, if it still is what was uploaded. Where the newest version is that
    /// already, it is that one.
    pub(super) async fn publish(&self, function: &str, sha256: &str, description: &str) -> Result<Configuration> {
        let doing = format!("can't publish a version of {function}");
        let call = Call::new(Service::Lambda, Method::POST, Self::path(function, "/versions"));
        let call = call.json(&json!({ "CodeSha256": sha256, "Description": description }));
        self.send(call, &doing).await
    }

    /// Waits until a function or a version can be invoked and changed.
    pub(super) async fn ready(&self, function: &str, version: Option<&str>) -> Result<Configuration> {
        let deadline = Instant::now() + READY;
        loop {
            let now = self.configuration(function, version).await?;
            let name = version.map_or_else(|| function.to_owned(), |version| format!("{function}:{version}"));
            let failed = |reason: &Option<String>| {
                let reason = reason.clone().unwrap_or_else(|| "Lambda gives no reason".to_owned());
                Err(Failure::failed(format!("{name} can't be made ready")).cause(reason))
            };
            match (now.state.as_deref().unwrap_or("Active"), now.last_update_status.as_deref().unwrap_or("Successful"))
            {
                ("Failed", _) => return failed(&now.state_reason),
                (_, "Failed") => return failed(&now.last_update_status_reason),
                // One that was not used for long is made ready by its next invocation.
                ("Active" | "Inactive", "Successful") => return Ok(now),
                _ => {}
            }
            if Instant::now() > deadline {
                return Err(Failure::timed_out(format!("{name} is not ready after {} s", READY.as_secs())));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives an alias's traffic to `version` but for the `weights` of others, if nobody has changed it since
    /// `revision`; None if somebody has.
    pub(super) async fn route(
        &self,
        function: &str,
        alias: &str,
        version: &str,
        weights: &BTreeMap<String, f64>,
        revision: Option<&str>,
    ) -> Result<Option<Alias>> {
        let doing = format!("can't change the alias {alias} of {function}");
        let path = Self::path(function, &format!("/aliases/{}", Call::part(alias)));
        let mut body = json!({ "FunctionVersion": version, "RoutingConfig": { "AdditionalVersionWeights": weights } });
        if let Some(revision) = revision {
            body["RevisionId"] = revision.into();
        }
        let reply = self.aws.call(&Call::new(Service::Lambda, Method::PUT, path).json(&body), &doing).await?;
        if reply.status == StatusCode::PRECONDITION_FAILED {
            return Ok(None);
        }
        if !reply.status.is_success() {
            return Err(self.aws.refused_by(&reply, &doing));
        }
        Alias::deserialize(reply.json(&doing)?).map(Some).map_err(|error| Failure::failed(doing).because(&error))
    }

    /// Invokes a version and waits for its answer; the inner error is the function's own, in its words.
    pub(super) async fn invoke(
        &self,
        function: &str,
        version: &str,
        event: &Value,
        limit: Duration,
    ) -> Result<std::result::Result<Value, String>> {
        let doing = format!("can't invoke {function}:{version}");
        let path = Self::path(function, &format!("/invocations?Qualifier={}", Call::part(version)));
        // Once: what is invoked may have happened although no answer came.
        let call = Call::new(Service::Lambda, Method::POST, path).json(event).timeout(limit).once();
        let reply = self.aws.accepted(&call, &doing).await?;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        if !reply.headers.contains_key("x-amz-function-error") {
            return Ok(Ok(answer));
        }
        let message = answer["errorMessage"].as_str().map(str::to_owned);
        Ok(Err(message.unwrap_or_else(|| answer.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_by_their_fields() {
        let configuration: Configuration = serde_json::from_value(json!({
            "FunctionArn": "arn", "CodeSha256": "x", "Runtime": "provided.al2023", "MemorySize": 512, "State": "Active",
            "Environment": {"Variables": {"A": "1"}}, "VpcConfig": {"SubnetIds": ["s"], "SecurityGroupIds": []},
            "Layers": [], "KMSKeyArn": "", "RevisionId": "r",
        }))
        .unwrap();
        let names: Vec<String> = configuration.settings().into_keys().collect();
        assert_eq!(names, ["architectures", "environment.A", "memorySize", "runtime", "vpcConfig.SubnetIds"]);
    }

    #[test]
    fn versions_without_traffic_have_no_weight() {
        let alias = |text: &str| serde_json::from_str::<Alias>(text).unwrap().weights();
        assert!(alias(r#"{"FunctionVersion":"1","RoutingConfig":null}"#).is_empty());
        assert!(alias(r#"{"FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{"2":0.0}}}"#).is_empty());
        let weights = alias(r#"{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.5}}}"#);
        assert!((weights["2"] - 0.5).abs() < f64::EPSILON, "{weights:?}");
    }
}

//! Images: in the registry, under the digest or tag that is named, for the processors that tasks run on.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecr::types::ImageIdentifier;
use serde_json::Value;

use super::services::Seen;
use super::{Check, Subject};
use crate::aws::{self, Aws};
use crate::failure::{Failure, Result};
use crate::outputs::Outputs;
use crate::settings::{Architecture, ServiceSettings};

/// The kinds of manifests that ECR may answer with; without them it converts indexes away.
const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A reference to an image in ECR.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    /// The account of the registry.
    account: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Reads `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY[:TAG][@DIGEST]`; none where it is in another registry.
    fn parse(text: &str) -> Option<Self> {
        let (registry, rest) = text.split_once('/')?;
        let (account, host) = registry.split_once('.')?;
        if !host.starts_with("dkr.ecr") {
            return None;
        }
        let (name, digest) = rest.split_once('@').map_or((rest, None), |(name, digest)| (name, Some(digest)));
        let (repository, tag) = name.split_once(':').map_or((name, None), |(name, tag)| (name, Some(tag)));
        Some(Self {
            account: account.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(ToOwned::to_owned),
            digest: digest.map(ToOwned::to_owned),
        })
    }
}

pub(super) async fn check(subject: &Subject<'_>, outputs: &Outputs, seen: &Seen) -> Vec<Check> {
    let running = running(subject.aws, outputs, seen).await;
    // Services share images: each reference is asked for once, with every architecture that it has to have.
    let mut wanted: BTreeMap<String, (BTreeSet<&str>, Vec<&str>)> = BTreeMap::new();
    let mut checks = Vec::new();
    for (service, settings) in &subject.environment.services {
        let reference = subject.images.get(&settings.image).cloned().map_or_else(
            || match &running {
                Ok(running) => running.get(service).cloned().ok_or_else(|| {
                    format!("nothing runs of it yet: --image {}=REFERENCE says what will", settings.image)
                }),
                Err(failure) => Err(failure.to_string()),
            },
            Ok,
        );
        match reference {
            Ok(reference) => {
                let entry = wanted.entry(reference).or_default();
                entry.0.insert(architecture(settings));
                entry.1.push(service);
            }
            Err(why) => checks.push(Check::skipped(service, why)),
        }
    }
    let looked = wanted.into_iter().map(async |(text, (architectures, services))| {
        let name = format!("{text} ({})", services.join(", "));
        match Reference::parse(&text) {
            None => Check::skipped(name, "it is not in ECR"),
            Some(reference) => look(subject.aws, &reference, &architectures, name).await,
        }
    });
    checks.extend(futures_util::future::join_all(looked).await);
    checks
}

/// The image of each service's task definition.
async fn running(aws: &Aws, outputs: &Outputs, seen: &Seen) -> Result<BTreeMap<String, String>> {
    if let Err(failure) = &seen.services {
        return Err(failure.clone());
    }
    let client = aws.ecs();
    let calls = outputs.services.iter().map(async |(key, made)| {
        let Some(definition) = seen.service(made).and_then(|service| service.task_definition()) else {
            return Ok(None);
        };
        let answer = client.describe_task_definition().task_definition(definition).send().await;
        let answer = answer.map_err(|error| aws.failure(format!("can't look at {definition}"), &error))?;
        let containers = answer.task_definition.and_then(|definition| definition.container_definitions);
        let container = containers.unwrap_or_default().into_iter().find(|one| one.name() == Some(&made.container));
        Ok::<_, Failure>(container.and_then(|container| container.image).map(|image| (key.clone(), image)))
    });
    Ok(futures_util::future::try_join_all(calls).await?.into_iter().flatten().collect())
}

async fn look(aws: &Aws, reference: &Reference, architectures: &BTreeSet<&str>, name: String) -> Check {
    let manifest = match manifest(aws, reference).await {
        Ok(manifest) => manifest,
        Err(failure) => return Check::failure(name, failure),
    };
    let platforms = match platforms(aws, reference, &manifest).await {
        Ok(platforms) => platforms,
        Err(failure) => return Check::ok(name, "it is there").hint(format!("Its platform is not known: {failure}")),
    };
    let missing: Vec<String> = architectures
        .iter()
        .map(|architecture| format!("linux/{architecture}"))
        .filter(|platform| !platforms.contains(platform))
        .collect();
    let has = platforms.into_iter().collect::<Vec<_>>().join(", ");
    if missing.is_empty() {
        return Check::ok(name, has);
    }
    Check::failed(name, format!("it is for {has}, and tasks run on {}", missing.join(", ")))
        .hint("Build it for that platform, or set the service's `architecture` in streamify.yaml.")
}

async fn manifest(aws: &Aws, reference: &Reference) -> Result<Value> {
    let Reference { account, repository, tag, digest } = reference;
    let what = digest.as_ref().or(tag.as_ref()).cloned().unwrap_or_else(|| "latest".to_owned());
    let id = ImageIdentifier::builder();
    // A digest says more than the tag beside it.
    let id = if digest.is_some() { id.set_image_digest(digest.clone()) } else { id.image_tag(&what) };
    let call = aws.ecr().batch_get_image().registry_id(account).repository_name(repository).image_ids(id.build());
    let answer = call.set_accepted_media_types(Some(ACCEPTED.map(str::to_owned).to_vec())).send().await;
    let answer = answer.map_err(|error| {
        let failure = aws.failure(format!("can't look at {repository}"), &error);
        if aws::is_not_found(&error) { failure.hint("streamify image push makes it.") } else { failure }
    })?;
    let image = answer.images.unwrap_or_default().into_iter().next();
    let text = image.and_then(|image| image.image_manifest).ok_or_else(|| {
        let refused = answer.failures.unwrap_or_default().into_iter().next();
        let failure = Failure::failed(format!("there is no image {what} in {repository}"))
            .hint("Push it first: streamify image push");
        match refused.and_then(|refused| refused.failure_reason) {
            Some(reason) => failure.cause(reason),
            None => failure,
        }
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::failed(format!("the manifest of {what} in {repository} is not JSON")).because(&error))
}

/// `linux/amd64` and the like: an index names them, a single image has it in its configuration.
async fn platforms(aws: &Aws, reference: &Reference, manifest: &Value) -> Result<BTreeSet<String>> {
    if let Some(entries) = manifest["manifests"].as_array() {
        return Ok(entries.iter().filter_map(|entry| platform(&entry["platform"])).collect());
    }
    let digest =
        manifest["config"]["digest"].as_str().ok_or_else(|| Failure::failed("the manifest names no configuration"))?;
    let call = aws.ecr().get_download_url_for_layer().registry_id(&reference.account);
    let answer = call.repository_name(&reference.repository).layer_digest(digest).send().await;
    let answer = answer.map_err(|error| aws.failure("can't get the image's configuration", &error))?;
    let url = answer.download_url.unwrap_or_default();
    let config = aws.fetch(&url, "can't get the image's configuration").await?;
    let config: Value = serde_json::from_str(&config)
        .map_err(|error| Failure::failed("the image's configuration is not JSON").because(&error))?;
    platform(&config)
        .map(|platform| BTreeSet::from([platform]))
        .ok_or_else(|| Failure::failed("the image's configuration names no platform"))
}

/// Attached documents are for `unknown/unknown`.
fn platform(value: &Value) -> Option<String> {
    let (os, architecture) = (value["os"].as_str()?, value["architecture"].as_str()?);
    (os != "unknown").then(|| format!("{os}/{architecture}"))
}

/// The word that images have for it.
fn architecture(settings: &ServiceSettings) -> &'static str {
    match settings.architecture {
        Architecture::X8664 => "amd64",
        Architecture::Arm64 => "arm64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_into_ecr_are_told_from_others() {
        let parsed = Reference::parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/cinema/app:v1@sha256:ab").unwrap();
        assert_eq!((parsed.account.as_str(), parsed.repository.as_str()), ("123456789012", "cinema/app"));
        assert_eq!((parsed.tag.as_deref(), parsed.digest.as_deref()), (Some("v1"), Some("sha256:ab")));
        assert_eq!(Reference::parse("public.ecr.aws/nginx/nginx:1"), None);
        assert_eq!(Reference::parse("nginx"), None);
        assert_eq!(Reference::parse("localhost:5000/app"), None);
    }
}

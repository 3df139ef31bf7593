//! Images: pulled with the credentials that are known for their registry, or built.

use std::collections::HashMap;
use std::time::Instant;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::credentials;
use super::engine::{Engine, failure};
use super::plan::{Action, Step, Subject};
use super::stack::Stack;
use crate::failure::{Failure, Kind, Result};
use crate::report::{Event, Report, Unit};
use crate::settings::Environment;

/// Pulls and builds everything at once.
pub(super) async fn bring(stack: &Stack<'_>, steps: &[Step], report: &dyn Report) -> Result<()> {
    let all: FuturesUnordered<_> = steps.iter().map(|step| one(stack, step, report)).collect();
    let failed: Vec<Failure> = all.filter_map(|result| async { result.err() }).collect().await;
    super::apply::together(failed)
}

async fn one(stack: &Stack<'_>, step: &Step, report: &dyn Report) -> Result<()> {
    let Subject::Image { reference, services } = &step.subject else { return Ok(()) };
    let project = stack.project;
    let users: Vec<_> = services.iter().filter_map(|name| project.service(name)).collect();
    if step.action == Action::Build {
        let Some(service) = users.iter().find(|service| service.build.is_some()) else { return Ok(()) };
        return super::build::build(stack.engine, project, service, stack.environment, false, report).await;
    }
    let platform = users.iter().map(|service| service.platform.as_str()).find(|platform| !platform.is_empty());
    let pulled = pull(stack.engine, stack.environment, reference, platform.unwrap_or_default(), report).await;
    // An image that is here already, and may stay, is enough.
    match pulled {
        Err(failure) if step.reason.contains("newer") || step.reason.contains("older") => {
            let here = stack.engine.docker.inspect_image(reference).await.is_ok();
            if here {
                report.warning(&format!("{failure}; the image that is here is used"));
                return Ok(());
            }
            Err(failure)
        }
        other => other,
    }
}

/// How much of a pull is done: bytes of every layer that is on its way.
#[derive(Default)]
struct Layers(HashMap<String, (u64, u64)>);

impl Layers {
    fn take(&mut self, info: &CreateImageInfo) -> Option<(u64, u64)> {
        let id = info.id.clone()?;
        let known = self.0.entry(id).or_default();
        match info.status.as_deref() {
            Some("Downloading") => {
                let progress = info.progress_detail.as_ref()?;
                let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
                known.0 = number(progress.current).unwrap_or(known.0);
                known.1 = number(progress.total).unwrap_or(known.1);
            }
            Some("Download complete" | "Pull complete") => known.0 = known.1,
            _ => return None,
        }
        Some(self.0.values().fold((0, 0), |(done, total), layer| (done + layer.0, total + layer.1)))
    }
}

/// Pulls one image.
///
/// # Errors
/// Says why: who one is, the name, the network, the platform.
pub(super) async fn pull(
    engine: &Engine,
    environment: &Environment,
    reference: &str,
    platform: &str,
    report: &dyn Report,
) -> Result<()> {
    let begun = Instant::now();
    let registry = credentials::registry(reference);
    report.started(reference, "pulling");
    let known = credentials::for_registry(environment, registry)?;
    let is_known = known.is_some();
    let mut docker = engine.docker.clone();
    if let Some(known) = known {
        let header = credentials::header(&known);
        docker = docker.with_request_modifier(move |mut request| {
            if let Ok(value) = header.parse() {
                request.headers_mut().insert("x-registry-auth", value);
            }
            request
        });
    }
    // Without a tag the engine would pull every one there is.
    let (name, tag) = split(reference);
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).platform(platform).build();
    let mut stream = docker.create_image(Some(options), None, None);
    let mut layers = Layers::default();
    let mut newer = true;
    while let Some(info) = stream.next().await {
        let info = info.map_err(|error| {
            let said = failure(format!("can't pull {reference}"), &error);
            let explained = explain(said, registry, platform, is_known);
            report.failed(reference, explained.causes.first().unwrap_or(&explained.message));
            explained
        })?;
        newer &= !info.status.as_deref().is_some_and(|status| status.contains("Image is up to date"));
        if let Some((done, total)) = layers.take(&info) {
            report.event(Event::Advanced { name: reference.into(), done, total: Some(total), unit: Unit::Bytes });
        }
    }
    report.finished(reference, if newer { "pulled" } else { "nothing newer" }, begun.elapsed());
    Ok(())
}

/// The name and the tag or digest; `latest` where there is neither.
pub(super) fn split(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    let after_folders = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference[after_folders..].rfind(':') {
        Some(colon) => (&reference[..after_folders + colon], &reference[after_folders + colon + 1..]),
        None => (reference, "latest"),
    }
}

/// Sorts what the engine said into what one can do about it.
fn explain(failure: Failure, registry: &str, platform: &str, is_known: bool) -> Failure {
    let said = failure.causes.join(" ").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let host = if registry.contains("index.docker.io") { "docker.io" } else { registry };
    if has(&["no matching manifest", "does not match the specified platform", "no match for platform"]) {
        let wanted = if platform.is_empty() { "this machine's platform" } else { platform };
        failure.hint(format!("There is no image for {wanted}: give the service another `platform`, or another tag."))
    } else if has(&["toomanyrequests", "rate limit"]) {
        failure.hint(format!("The registry lets nobody pull so often: log in (`docker login {host}`), or wait."))
    } else if has(&["unauthorized", "denied", "authentication required", "no basic auth"]) {
        let why = if is_known { "refused the credentials that are known" } else { "wants to know who you are" };
        failure.hint(format!("{host} {why}, or the image does not exist: `docker login {host}`, or check its name."))
    } else if has(&["manifest unknown", "not found", "does not exist", "invalid reference", "name unknown"]) {
        failure.hint("There is no such image: check its name and tag in the Compose file.")
    } else if is_network_trouble(&said) {
        Failure { kind: Kind::Unreachable, ..failure }
            .hint(format!("The daemon can't reach {host}: check the network, the proxy and the DNS of the daemon."))
    } else if has(&["x509", "certificate"]) {
        failure
            .hint(format!("The daemon does not trust {host}: give it the certificate in /etc/docker/certs.d/{host}."))
    } else {
        failure
    }
}

/// Whether words of the engine, in lower case, mean that a registry was not reached at all.
pub(super) fn is_network_trouble(said: &str) -> bool {
    let words = [
        "no such host",
        "timeout",
        "i/o",
        "connection refused",
        "network is unreachable",
        "dial tcp",
        "eof",
        "server misbehaving",
        "temporary failure",
        "request canceled while waiting for connection",
    ];
    words.iter().any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_at_the_right_colon() {
        for (reference, expected) in [
            ("postgres", ("postgres", "latest")),
            ("postgres:16", ("postgres", "16")),
            ("localhost:5000/app", ("localhost:5000/app", "latest")),
            ("localhost:5000/app:2", ("localhost:5000/app", "2")),
            ("app@sha256:ab", ("app", "sha256:ab")),
        ] {
            assert_eq!(split(reference), expected, "{reference}");
        }
    }

    #[test]
    fn a_failed_pull_says_what_to_do() {
        let hint = |said: &str, known| explain(Failure::failed("x").cause(said), "ghcr.io", "", known).hints.join(" ");
        assert!(hint("unauthorized: authentication required", false).contains("docker login ghcr.io"));
        assert!(hint("denied: requested access", true).contains("refused the credentials"));
        assert!(hint("manifest for a:b not found: manifest unknown", false).contains("name and tag"));
        assert!(hint("no matching manifest for linux/arm64 in the manifest list entries", false).contains("platform"));
        assert!(hint("dial tcp: lookup ghcr.io: no such host", false).contains("network"));
    }
}

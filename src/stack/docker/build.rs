//! Images built from a service's `build`.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt;

use super::engine::{Engine, OrSay, failure};
use super::ignore::Ignored;
use super::{buildkit, credentials, labels};
use crate::failure::{Failure, OrFail, Result};
use crate::report::{Event, Report};
use crate::settings::Environment;
use crate::stack::compose::model::{Build, Project, Service};

/// How many last lines of a build that failed are shown again.
const LAST_LINES: usize = 12;

/// Builds one service's image and tags it.
///
/// # Errors
/// The context or the Dockerfile is not there; a step fails, with its last lines.
pub(super) async fn build(
    engine: &Engine,
    project: &Project,
    service: &Service,
    environment: &Environment,
    anew: bool,
    report: &dyn Report,
) -> Result<()> {
    let Some(build) = &service.build else {
        return Err(Failure::usage(format!("{} has nothing to build", service.name)));
    };
    let begun = Instant::now();
    let image = project.image(service);
    report.started(&image, "building");
    if let Some(program) = buildkit::program(environment) {
        buildkit::build(program, engine, project, service, environment, anew, report).await?;
        report.finished(&image, "built", begun.elapsed());
        return Ok(());
    }
    if let Some(what) = buildkit::needs(build) {
        return Err(buildkit::missing(service, what));
    }
    let dockerfile = dockerfile_name(build);
    let remote = is_remote(&build.context);
    let mut options = BuildImageOptionsBuilder::new()
        .t(&image)
        .dockerfile(&dockerfile)
        .rm(true)
        .forcerm(true)
        .nocache(build.no_cache || anew)
        .buildargs(&arguments(build, environment))
        .labels(&image_labels(project, service, build))
        .target(&build.target)
        .networkmode(&build.network)
        .platform(build.platforms.first().map_or(service.platform.as_str(), String::as_str));
    if build.pull {
        options = options.pull("true");
    }
    if !build.cache_from.is_empty() {
        options = options.cachefrom(&build.cache_from);
    }
    if build.shm_size.0 > 0 {
        options = options.shmsize(i32::try_from(build.shm_size.0).unwrap_or(i32::MAX));
    }
    if !build.extra_hosts.is_empty() {
        let hosts: Vec<_> = build.extra_hosts.iter().map(|host| host.replacen('=', ":", 1)).collect();
        options = options.extrahosts(&hosts.join(","));
    }
    let body = if remote {
        options = options.remote(&build.context);
        bollard::body_full(Vec::new().into())
    } else {
        let (folder, inline) = (PathBuf::from(&build.context), build.dockerfile_inline.clone());
        let own = build.clone();
        let name = service.name.clone();
        let packed = tokio::task::spawn_blocking(move || pack(&folder, &own, &inline, &name)).await;
        let packed = packed.or_fail(|| "the build's context could not be packed".into())??;
        bollard::body_full(packed.into())
    };
    let known = all_credentials(environment, build)?;
    let mut stream = engine.docker.build_image(options.build(), Some(known), Some(body));
    let mut lines: Vec<String> = Vec::new();
    while let Some(info) = stream.next().await {
        let info = info.map_err(|error| {
            let mut said = failure(format!("can't build {image}"), &error);
            if said
                .causes
                .iter()
                .any(|cause| cause.contains("requires BuildKit") || cause.contains("the --mount option"))
            {
                said = said.hint("Install Docker's buildx plugin: apt-get install docker-buildx-plugin");
            }
            let tail = lines.iter().rev().take(LAST_LINES).rev().cloned().collect::<Vec<_>>().join("\n");
            if !tail.is_empty() {
                said = said.cause(format!("its last lines:\n{tail}"));
            }
            report.failed(&image, said.causes.first().unwrap_or(&said.message));
            said
        })?;
        take(&info, &image, &mut lines, report);
    }
    for tag in &build.tags {
        let (name, tag) = tag.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((tag, "latest"));
        let options = bollard::query_parameters::TagImageOptionsBuilder::new().repo(name).tag(tag).build();
        engine.docker.tag_image(&image, Some(options)).await.or_say(|| format!("can't tag {image} as {name}:{tag}"))?;
    }
    report.finished(&image, "built", begun.elapsed());
    Ok(())
}

impl Engine {
    /// Builds a Dockerfile outside of any stack and tags the image; an empty `platform` is the daemon's own.
    ///
    /// # Errors
    /// The context or the Dockerfile is not there; a step fails, with its last lines.
    pub async fn build_dockerfile(
        &self,
        context: &Path,
        dockerfile: &Path,
        tag: &str,
        platform: &str,
        environment: &Environment,
        report: &dyn Report,
    ) -> Result<()> {
        let build = Build {
            context: context.display().to_string(),
            dockerfile: dockerfile.display().to_string(),
            ..Build::default()
        };
        let service = Service {
            name: tag.split(':').next().unwrap_or(tag).to_owned(),
            image: tag.to_owned(),
            platform: platform.to_owned(),
            build: Some(build),
            ..Service::default()
        };
        let project =
            Project { name: "streamify-build".into(), directory: context.to_path_buf(), ..Project::default() };
        self::build(self, &project, &service, environment, false, report).await
    }
}

fn take(info: &BuildInfo, image: &str, lines: &mut Vec<String>, report: &dyn Report) {
    let Some(text) = info.stream.as_deref().map(str::trim_end).filter(|text| !text.is_empty()) else { return };
    for line in text.lines() {
        lines.push(line.to_owned());
        if line.starts_with("Step ") {
            report.doing(image, line);
        } else {
            report.event(Event::Line { source: image.to_owned(), text: line.to_owned() });
        }
    }
}

/// Whether the context is an address that the engine fetches itself.
fn is_remote(context: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@", "github.com/"].iter().any(|start| context.starts_with(start))
}

/// The Dockerfile's name in the packed context.
fn dockerfile_name(build: &Build) -> String {
    if !build.dockerfile_inline.is_empty() || Path::new(&build.dockerfile).is_absolute() {
        return ".streamify.Dockerfile".into();
    }
    if build.dockerfile.is_empty() { "Dockerfile".into() } else { build.dockerfile.clone() }
}

/// Build arguments with a value; those that only have a name take the environment's, and proxies go along.
pub(super) fn arguments(build: &Build, environment: &Environment) -> HashMap<String, String> {
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
    let mut arguments: HashMap<String, String> =
        proxies.iter().filter_map(|name| Some(((*name).to_owned(), environment.get(name)?.to_owned()))).collect();
    for (name, value) in build.args.iter() {
        if let Some(value) = value.clone().or_else(|| environment.get(name).map(str::to_owned)) {
            arguments.insert(name.clone(), value);
        }
    }
    arguments
}

pub(super) fn image_labels(project: &Project, service: &Service, build: &Build) -> HashMap<String, String> {
    let mut all: HashMap<String, String> = build.labels.clone().into_iter().collect();
    all.extend(labels::of_project(project));
    all.insert(labels::SERVICE.into(), service.name.clone());
    all
}

/// The base images may come from any registry, so all that are named in the Dockerfile's `FROM` are looked up.
fn all_credentials(
    environment: &Environment,
    build: &Build,
) -> Result<HashMap<String, bollard::auth::DockerCredentials>> {
    let text = if build.dockerfile_inline.is_empty() {
        let path =
            Path::new(&build.context).join(if build.dockerfile.is_empty() { "Dockerfile" } else { &build.dockerfile });
        std::fs::read_to_string(path).unwrap_or_default()
    } else {
        build.dockerfile_inline.clone()
    };
    let mut all = HashMap::new();
    for registry in bases(&text).map(credentials::registry) {
        if !all.contains_key(registry)
            && let Some(known) = credentials::for_registry(environment, registry)?
        {
            all.insert(registry.to_owned(), known);
        }
    }
    Ok(all)
}

/// The references after `FROM`.
fn bases(dockerfile: &str) -> impl Iterator<Item = &str> {
    dockerfile.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| word.eq_ignore_ascii_case("from"))?;
        words.find(|word| !word.starts_with("--"))
    })
}

/// The context as an archive, without what `.dockerignore` names.
fn pack(folder: &Path, build: &Build, inline: &str, service: &str) -> Result<Vec<u8>> {
    if !folder.is_dir() {
        return Err(Failure::usage(format!("the build context of {service} is no folder: {}", folder.display())));
    }
    let dockerfile = folder.join(if build.dockerfile.is_empty() { "Dockerfile" } else { &build.dockerfile });
    if inline.is_empty() && !dockerfile.is_file() {
        return Err(Failure::usage(format!("{service} has no Dockerfile: there is no {}", dockerfile.display()))
            .hint("Name it: `build: {context: ., dockerfile: path/to/Dockerfile}`."));
    }
    let ignored = Ignored::read(folder, &dockerfile)?;
    let unreadable = || format!("can't pack the build context {}", folder.display());
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    for path in ignored.walk(folder)? {
        let relative = path.strip_prefix(folder).unwrap_or(&path);
        archive.append_path_with_name(&path, relative).or_fail(unreadable)?;
    }
    // The Dockerfile and the list go along whatever the list says: the engine needs them.
    let mut add = |name: &str, content: &[u8]| -> std::io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content)
    };
    if !inline.is_empty() {
        add(&dockerfile_name(build), inline.as_bytes()).or_fail(unreadable)?;
    } else if Path::new(&build.dockerfile).is_absolute() || ignored.leaves_out(Path::new(&dockerfile_name(build))) {
        let text = std::fs::read(&dockerfile).or_fail(|| format!("can't read {}", dockerfile.display()))?;
        add(&dockerfile_name(build), &text).or_fail(unreadable)?;
    }
    let mut packed = archive.into_inner().or_fail(unreadable)?;
    packed.flush().or_fail(unreadable)?;
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_images_are_found() {
        let text = "# syntax=x\nFROM --platform=linux/amd64 ghcr.io/a/b:1 AS build\nRUN x\nfrom debian\n";
        assert_eq!(bases(text).collect::<Vec<_>>(), ["ghcr.io/a/b:1", "debian"]);
    }
}

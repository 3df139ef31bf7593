//! What a container sees of the host and of other places: binds, volumes, memory, images, configs and secrets.

use std::fmt;
use std::path::Path;

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions, MountTmpfsOptions, MountType,
    MountVolumeOptions,
};

use super::blueprint::{inline, text};
use super::engine::ApiVersion;
use crate::failure::{Failure, OrFail, Result};
use crate::stack::compose::model::{BindOptions, FileReference, Hidden, Mount as Wanted, MountKind, Project, Service};

/// A config or secret that is written into the container before it starts.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Absolute, in the container.
    pub(super) path: String,
    pub(super) content: Vec<u8>,
    pub(super) user: u64,
    pub(super) group: u64,
    pub(super) mode: u32,
}

/// Without the content: it may be secret.
impl fmt::Debug for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "File({}, {} bytes)", self.path, self.content.len())
    }
}

/// Everything that is mounted or written: files, binds in the short form, mounts in the long form.
pub(super) fn of(
    project: &Project,
    service: &Service,
    api: ApiVersion,
) -> Result<(Vec<File>, Vec<String>, Vec<Mount>)> {
    let (mut files, mut binds, mut mounts) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in &service.volumes {
        match wanted.r#type {
            MountKind::Bind if is_plain(wanted) => binds.push(bind(wanted)),
            _ => mounts.push(mount(project, service, wanted, api)?),
        }
    }
    for reference in &service.configs {
        let config = project.configs.get(&reference.source);
        let source = config.map(|config| Source {
            file: &config.file,
            inline: inline(&config.content, config.resolved.as_ref()),
            external: config.external,
            variable: &config.environment,
        });
        add(service, "config", reference, source, "/", &mut files, &mut mounts)?;
    }
    for reference in &service.secrets {
        let secret = project.secrets.get(&reference.source);
        let source = secret.map(|secret| Source {
            file: &secret.file,
            inline: inline("", secret.resolved.as_ref()),
            external: secret.external,
            variable: &secret.environment,
        });
        add(service, "secret", reference, source, "/run/secrets/", &mut files, &mut mounts)?;
    }
    if service.read_only && !files.is_empty() {
        let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        return Err(Failure::usage(format!(
            "{} is read-only, so {} can't be written into it",
            service.name,
            paths.join(", ")
        ))
        .hint("Give the config or secret a `file`, without uid, gid and mode: it is then mounted."));
    }
    Ok((files, binds, mounts))
}

/// Where a config or secret comes from.
struct Source<'a> {
    file: &'a str,
    inline: Option<String>,
    external: bool,
    variable: &'a str,
}

fn add(
    service: &Service,
    kind: &str,
    reference: &FileReference,
    source: Option<Source<'_>>,
    folder: &str,
    files: &mut Vec<File>,
    mounts: &mut Vec<Mount>,
) -> Result<()> {
    let named = || format!("the {kind} {} of {}", reference.source, service.name);
    let source = source.ok_or_else(|| Failure::usage(format!("{} is not defined", named())))?;
    if source.external {
        return Err(Failure::usage(format!("{} is external", named()))
            .cause("only a Docker swarm keeps configs and secrets")
            .hint("Give it a `file`, an `environment` variable or `content`."));
    }
    let target = match reference.target.as_str() {
        "" => format!("{folder}{}", reference.source),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("{folder}{relative}"),
    };
    let owned = reference.mode.is_some() || !reference.uid.is_empty() || !reference.gid.is_empty();
    let content = match (source.inline, source.file) {
        (Some(text), _) => text.into_bytes(),
        (None, "") => {
            return Err(Failure::usage(format!("{} has no value", named()))
                .cause(format!("the variable {} is not set", source.variable)));
        }
        (None, file) => {
            if !Path::new(file).exists() {
                return Err(Failure::usage(format!("{} has no file", named())).cause(format!("there is no {file}")));
            }
            if !owned || service.read_only {
                mounts.push(Mount {
                    typ: Some(MountType::BIND),
                    source: Some(file.to_owned()),
                    target: Some(target),
                    read_only: Some(true),
                    ..Mount::default()
                });
                return Ok(());
            }
            std::fs::read(file).or_fail(|| format!("can't read {file}"))?
        }
    };
    let id = |text: &str, what: &str| match text {
        "" => Ok(0),
        text => text.parse().map_err(|_| Failure::usage(format!("the {what} `{text}` of {} is no number", named()))),
    };
    files.push(File {
        path: target,
        content,
        user: id(&reference.uid, "uid")?,
        group: id(&reference.gid, "gid")?,
        mode: reference.mode.map_or(0o444, |mode| mode.0),
    });
    Ok(())
}

/// Whether the short form says all of it; only that one makes a missing folder on the host.
fn is_plain(wanted: &Wanted) -> bool {
    let options = wanted.bind.clone().unwrap_or_default();
    options.create_host_path.0 && options.recursive.is_empty() && !wanted.source.contains(':')
}

fn bind(wanted: &Wanted) -> String {
    let options = wanted.bind.clone().unwrap_or_default();
    let mut mode = vec![if wanted.read_only { "ro" } else { "rw" }.to_owned()];
    mode.extend(text(&options.selinux));
    mode.extend(text(&options.propagation));
    format!("{}:{}:{}", wanted.source, wanted.target, mode.join(","))
}

/// A volume's name in the engine.
pub(super) fn volume_name(project: &Project, key: &str) -> String {
    match project.volumes.get(key) {
        Some(volume) if !volume.name.is_empty() => volume.name.clone(),
        _ => format!("{}_{key}", project.name),
    }
}

fn mount(project: &Project, service: &Service, wanted: &Wanted, api: ApiVersion) -> Result<Mount> {
    let needs = |what: &str, version: ApiVersion| {
        if api >= version {
            return Ok(());
        }
        Err(Failure::usage(format!("{} mounts {what} at {}", service.name, wanted.target))
            .cause(format!("that needs Docker API {version}; this daemon speaks {api}"))
            .hint("Update Docker."))
    };
    let mut mount = Mount {
        target: Some(wanted.target.clone()),
        read_only: wanted.read_only.then_some(true),
        consistency: text(&wanted.consistency),
        ..Mount::default()
    };
    match wanted.r#type {
        MountKind::Bind => {
            mount.typ = Some(MountType::BIND);
            mount.source = text(&wanted.source);
            mount.bind_options = Some(bind_options(&wanted.bind.clone().unwrap_or_default()));
        }
        MountKind::Volume => {
            let options = wanted.volume.clone().unwrap_or_default();
            if !options.subpath.is_empty() {
                needs("a folder of a volume", ApiVersion::VOLUME_SUBPATH)?;
            }
            mount.typ = Some(MountType::VOLUME);
            mount.source = text(&wanted.source).map(|key| volume_name(project, &key));
            mount.volume_options = Some(MountVolumeOptions {
                no_copy: options.nocopy.then_some(true),
                labels: (!options.labels.is_empty()).then(|| options.labels.clone().into_iter().collect()),
                subpath: text(&options.subpath),
                ..MountVolumeOptions::default()
            });
        }
        MountKind::Tmpfs => {
            let options = wanted.tmpfs.clone().unwrap_or_default();
            mount.typ = Some(MountType::TMPFS);
            mount.tmpfs_options = Some(MountTmpfsOptions {
                size_bytes: (options.size.0 > 0).then_some(options.size.0),
                mode: (options.mode > 0).then_some(i64::from(options.mode)),
                options: None,
            });
        }
        MountKind::Image => {
            needs("an image", ApiVersion::IMAGE_MOUNTS)?;
            mount.typ = Some(MountType::IMAGE);
            mount.source = text(&wanted.source);
            mount.image_options =
                Some(MountImageOptions { subpath: wanted.image.as_ref().and_then(|image| text(&image.subpath)) });
        }
        MountKind::Npipe => {
            mount.typ = Some(MountType::NPIPE);
            mount.source = text(&wanted.source);
        }
        MountKind::Cluster => {
            return Err(Failure::usage(format!("{} mounts a cluster volume at {}", service.name, wanted.target))
                .cause("only a Docker swarm has them"));
        }
    }
    Ok(mount)
}

fn bind_options(options: &BindOptions) -> MountBindOptions {
    use MountBindOptionsPropagationEnum as Propagation;
    MountBindOptions {
        propagation: match options.propagation.as_str() {
            "private" => Some(Propagation::PRIVATE),
            "rprivate" => Some(Propagation::RPRIVATE),
            "shared" => Some(Propagation::SHARED),
            "rshared" => Some(Propagation::RSHARED),
            "slave" => Some(Propagation::SLAVE),
            "rslave" => Some(Propagation::RSLAVE),
            _ => None,
        },
        non_recursive: (options.recursive == "disabled").then_some(true),
        create_mountpoint: None,
        read_only_non_recursive: (options.recursive == "writable").then_some(true),
        read_only_force_recursive: (options.recursive == "readonly").then_some(true),
    }
}

/// What a config or secret is made of, for the digest that tells a change.
pub(super) fn substance(file: &str, inline: Option<&str>) -> Vec<u8> {
    match inline {
        Some(text) => text.as_bytes().to_vec(),
        None => file.as_bytes().to_vec(),
    }
}

/// Of a config or secret with a value from the environment or the file itself.
pub(super) fn hidden(resolved: Option<&Hidden>) -> Option<&str> {
    resolved.map(|hidden| hidden.0.as_str())
}

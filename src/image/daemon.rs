//! To and from a Docker daemon, by the archive that `docker save` and `docker load` speak: every version reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;

use super::digest::{Digest, Hasher};
use super::layout::Layout;
use super::oci::{self, Config, Descriptor, Index};
use super::{compress, spoken};
use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;
use crate::settings::Compression;

/// One image of the archive's `manifest.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Loads a layout's image into a daemon under these tags; of several platforms the daemon's own.
///
/// # Errors
/// The daemon refuses it; the image is not for its platform.
pub async fn load(
    name: &str,
    layout: &Layout,
    docker: &Docker,
    tags: &[String],
    report: &Arc<dyn Report>,
) -> Result<()> {
    let tag = tags.join(" and ");
    let begun = Instant::now();
    report.started(name, &format!("loading as {tag}"));
    let what = || format!("can't load {tag} into the Docker daemon");
    let version = docker.version().await.map_err(|error| Failure::unreachable(what()).because(&error))?;
    let architecture = version.arch.unwrap_or_default();
    let (own, named) = (layout.clone(), tags.to_vec());
    let work = move || archive(&own, &named, &architecture);
    let file = tokio::task::spawn_blocking(work).await.or_fail(what)??;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 1 << 20);
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let mut answers = docker.import_image(options, bollard::body_try_stream(stream), None);
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|error| Failure::failed(what()).because(&error))?;
        if let Some(error) = answer.error_detail.and_then(|detail| detail.message) {
            return Err(Failure::failed(what()).cause(error));
        }
    }
    report.finished(name, &format!("loaded as {tag}, {}", spoken(size)), begun.elapsed());
    Ok(())
}

/// The archive as a file without a name. Layers are unpacked: old daemons read no zstd.
fn archive(layout: &Layout, tags: &[String], architecture: &str) -> Result<File> {
    let _lock = layout.lock_shared()?;
    let what = || format!("can't write an archive of {}", layout.folder().display());
    let manifests = layout.manifests(&layout.root()?)?;
    let mut found = None;
    for (_, manifest) in manifests {
        let config: Config = layout.json(&manifest.config)?;
        if config.architecture == architecture {
            found = Some((manifest, config));
            break;
        }
    }
    let Some((manifest, config)) = found else {
        return Err(Failure::failed(format!("the image in {} is not for {architecture}", layout.folder().display()))
            .cause("that is what the Docker daemon runs")
            .hint("Add the platform to `platforms` of the image in streamify.yaml."));
    };
    let mut out = tar::Builder::new(tempfile::tempfile().or_fail(what)?);
    let mut saved = Saved {
        config: format!("{}.json", manifest.config.digest.hex()),
        repo_tags: Some(tags.to_vec()),
        layers: Vec::new(),
    };
    append(&mut out, &saved.config, &layout.read(&manifest.config)?).or_fail(what)?;
    for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
        let name = format!("{}/layer.tar", diff_id.hex());
        let unpack = || -> io::Result<File> {
            let mut plain = tempfile::tempfile()?;
            io::copy(&mut compress::reader(File::open(layout.blob(&layer.digest))?)?, &mut plain)?;
            plain.rewind()?;
            Ok(plain)
        };
        let mut plain = unpack().or_fail(what)?;
        if !saved.layers.contains(&name) {
            out.append_file(&name, &mut plain).or_fail(what)?;
        }
        saved.layers.push(name);
    }
    append(&mut out, "manifest.json", &serde_json::to_vec(&[saved]).or_fail(what)?).or_fail(what)?;
    let mut file = out.into_inner().or_fail(what)?;
    file.rewind().or_fail(what)?;
    Ok(file)
}

fn append(out: &mut tar::Builder<File>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    out.append_data(&mut header, name, bytes)
}

/// Takes an image out of a daemon into a layout, compressed as the order wants it and with its labels, so that it is
/// pushed and looked at like any other.
///
/// # Errors
/// The daemon does not have it; the layout can't be written.
pub async fn import(
    order: &super::Order,
    docker: &Docker,
    tag: &str,
    report: &Arc<dyn Report>,
) -> Result<super::Built> {
    let begun = Instant::now();
    let what = || format!("can't take {tag} out of the Docker daemon");
    report.doing(&order.name, "taking the image out of the daemon");
    let mut file = tempfile::tempfile().or_fail(what)?;
    let mut stream = docker.export_image(tag);
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| Failure::failed(what()).because(&error))?;
        io::Write::write_all(&mut file, &part).or_fail(what)?;
    }
    file.rewind().or_fail(what)?;
    let (order, listener, name) = (order.clone(), Arc::clone(report), order.name.clone());
    let work = move || unpack(&order, file, listener.as_ref());
    let mut built = tokio::task::spawn_blocking(work).await.or_fail(what)??;
    built.took = begun.elapsed();
    report.finished(&name, "built by Docker", built.took);
    Ok(built)
}

fn unpack(order: &super::Order, file: File, report: &dyn Report) -> Result<super::Built> {
    let what = || format!("can't read what the Docker daemon gave of {}", order.name);
    let folder = tempfile::tempdir().or_fail(what)?;
    tar::Archive::new(io::BufReader::new(file)).unpack(folder.path()).or_fail(what)?;
    let read = |name: &str| -> io::Result<Vec<u8>> { std::fs::read(folder.path().join(name)) };
    let saved: Vec<Saved> = serde_json::from_slice(&read("manifest.json").or_fail(what)?).or_fail(what)?;
    let saved = saved.into_iter().next().ok_or_else(|| Failure::failed(what()).cause("there is no image in it"))?;
    let mut config: Config = serde_json::from_slice(&read(&saved.config).or_fail(what)?).or_fail(what)?;
    let facts = super::facts::Facts::of(&order.directory, &order.environment)?;
    let annotations = super::build::annotations(order, &facts, None);
    config.config.labels.retain(|name, _| !name.starts_with("com.docker.compose."));
    config.config.labels.extend(annotations.clone());
    config.config.labels.extend(order.image.labels.clone());
    if config.config.user.is_empty() || config.config.user == "root" || config.config.user.starts_with('0') {
        report.warning(&format!("the image {} runs as root; a USER in its Dockerfile changes that", order.name));
    }
    let layout = Layout::create(&order.layout)?;
    let _lock = layout.lock(report)?;
    let compression = order.image.compression.unwrap_or_default();
    let (mut layers, mut built, mut files) = (Vec::new(), Vec::new(), BTreeMap::new());
    let steps: Vec<_> = config.history.iter().filter(|step| !step.empty_layer).cloned().collect();
    for (number, name) in saved.layers.iter().enumerate() {
        let source = folder.path().join(name);
        let (packed, size) = repack(&layout, &source, compression).or_fail(what)?;
        contents(compress::reader(File::open(&source).or_fail(what)?).or_fail(what)?, &mut files).or_fail(what)?;
        if config.rootfs.diff_ids.get(number) != Some(&packed) {
            return Err(Failure::failed(what()).cause(format!("the layer {name} is not the one that the image names")));
        }
        let title = steps.get(number).and_then(|step| step.created_by.clone()).unwrap_or_default();
        let (digest, size) = size;
        layers.push(Descriptor::new(oci::layer_type(compression), digest.clone(), size));
        built.push(super::BuiltLayer { title, digest, size, cached: false });
    }
    let mut root = layout.write_image(&config, layers, annotations)?;
    let digest = root.digest.clone();
    let list = super::build::list(order, &layout, &root, None, &facts, &files)?;
    let tag = facts.tag(digest.short());
    root.annotations.insert(oci::REF_NAME.to_owned(), tag.clone());
    let sbom = vec![list.digest.clone()];
    layout.finish(&Index::of(vec![root, list]))?;
    let platform =
        super::BuiltPlatform { platform: config.platform().to_string(), digest: digest.clone(), layers: built };
    let took = std::time::Duration::ZERO;
    Ok(super::Built {
        name: order.name.clone(),
        digest,
        tag,
        layout: order.layout.clone(),
        platforms: vec![platform],
        sbom,
        took,
    })
}

/// Packs a layer of the archive anew; gives its `diff_id`, and its digest and size.
fn repack(layout: &Layout, source: &Path, compression: Compression) -> io::Result<(Digest, (Digest, u64))> {
    let mut plain = compress::reader(File::open(source)?)?;
    let mut file = layout.temporary().map_err(io::Error::other)?;
    let copy = |out: &mut dyn io::Write| io::copy(&mut plain, out);
    let (_, packed) = compress::pack(compression, file.as_file_mut(), copy)?;
    layout.keep(file, &packed.digest).map_err(io::Error::other)?;
    Ok((packed.diff_id, (packed.digest, packed.size)))
}

/// Adds the files of a layer to those of the layers below, and takes away what it hides (image specification,
/// "Whiteouts").
fn contents(layer: impl io::Read, files: &mut BTreeMap<String, Digest>) -> io::Result<()> {
    for entry in tar::Archive::new(layer).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        let (folder, name) = path.rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name));
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let hidden = if hidden == ".wh..opq" { folder.to_owned() } else { format!("{folder}/{hidden}") };
            let hidden = hidden.trim_start_matches('/').to_owned();
            files.retain(|file, _| *file != hidden && !file.starts_with(&format!("{hidden}/")));
        } else if entry.header().entry_type().is_file() {
            let mut hasher = Hasher::default();
            io::copy(&mut entry, &mut hasher)?;
            files.insert(path, hasher.finish());
        } else {
            // A folder, or a link in the place of a file; what is below a folder stays.
            files.remove(path.trim_end_matches('/'));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_layer_hides_is_no_content() {
        let layer = |names: &[&str]| {
            let mut out = tar::Builder::new(Vec::new());
            for name in names {
                let mut header = tar::Header::new_gnu();
                header.set_size(1);
                out.append_data(&mut header, name, &b"x"[..]).unwrap();
            }
            out.into_inner().unwrap()
        };
        let mut files = BTreeMap::new();
        contents(layer(&["a/one", "a/two", "b/three", "c/four", "cc"]).as_slice(), &mut files).unwrap();
        contents(layer(&["a/.wh.one", "b/.wh..wh..opq", ".wh.c", "b/new"]).as_slice(), &mut files).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a/two", "b/new", "cc"]);
    }
}

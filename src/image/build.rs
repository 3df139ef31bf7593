//! From a plan to a layout: layers packed or found again, documents written, the index last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::digest::Digest;
use super::facts::Facts;
use super::layer::{Layer, SETTLED, Stamp};
use super::layout::Layout;
use super::oci::{self, Config, Descriptor, History, Index, Manifest, RootFs};
use super::plan::{self, Plan};
use super::registry::Credentials;
use super::{Order, compress, sbom};
use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;
use crate::settings::Compression;

/// An image that was built.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// As in `streamify.yaml`.
    pub name: String,
    /// Of the image, or of the index of its platforms.
    pub digest: Digest,
    /// The tag that tells what is in it: the commit's.
    pub tag: String,
    pub layout: PathBuf,
    pub platforms: Vec<BuiltPlatform>,
    /// The digest of the list of contents of each platform.
    pub sbom: Vec<Digest>,
    #[serde(skip)]
    pub took: Duration,
}

/// One platform of it.
#[derive(Clone, Debug, Serialize)]
pub struct BuiltPlatform {
    pub platform: String,
    pub digest: Digest,
    pub layers: Vec<BuiltLayer>,
}

/// One layer of it.
#[derive(Clone, Debug, Serialize)]
pub struct BuiltLayer {
    pub title: String,
    pub digest: Digest,
    /// Compressed bytes.
    pub size: u64,
    /// Found again, not packed anew.
    pub cached: bool,
}

impl Built {
    /// Compressed bytes of all layers, each counted once.
    pub fn size(&self) -> u64 {
        let layers = self.platforms.iter().flat_map(|platform| &platform.layers);
        layers.map(|layer| (&layer.digest, layer.size)).collect::<BTreeMap<_, _>>().values().sum()
    }
}

/// Builds an image into its layout.
///
/// # Errors
/// What its entry names is not there; the base can't be had; the layout can't be written.
pub async fn build(order: Order, credentials: &Arc<dyn Credentials>, report: &Arc<dyn Report>) -> Result<Built> {
    let begun = Instant::now();
    report.started(&order.name, "building");
    let bases = match plan::base(&order)? {
        None => None,
        Some(reference) => Some(Base::fetch(&reference, &order, credentials, report.as_ref()).await?),
    };
    let (name, listener) = (order.name.clone(), Arc::clone(report));
    let work = move || Work { order, report: listener.as_ref() }.run(bases.as_ref());
    let mut built =
        tokio::task::spawn_blocking(work).await.or_fail(|| format!("the build of {name} ended early"))??;
    built.took = begun.elapsed();
    let packed = built.platforms.iter().flat_map(|platform| &platform.layers).filter(|layer| !layer.cached).count();
    let how = match packed {
        0 => "unchanged".to_owned(),
        1 => "built, 1 layer new".to_owned(),
        count => format!("built, {count} layers new"),
    };
    report.finished(&name, &how, built.took);
    Ok(built)
}

/// What is known of layers that were packed before, by what identifies them.
type Records = BTreeMap<Digest, Record>;

/// The file of the layout that holds [`Records`].
const RECORDS: &str = "streamify.json";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    stamp: Option<Stamp>,
    /// Bytes of the files before packing.
    content: u64,
    diff_id: Digest,
    digest: Digest,
    size: u64,
    files: Vec<(String, Digest)>,
}

struct Work<'a> {
    order: Order,
    report: &'a dyn Report,
}

impl Work<'_> {
    fn run(&self, bases: Option<&Vec<Base>>) -> Result<Built> {
        let order = &self.order;
        let facts = Facts::of(&order.directory, &order.environment)?;
        let plans = plan::platforms(order, bases.is_some(), self.report)?;
        let layout = Layout::create(&order.layout)?;
        let _lock = layout.lock(self.report)?;
        let before = self.records();
        let mut records = Records::new();
        let (mut platforms, mut manifests, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        for plan in &plans {
            let base = match bases {
                None => None,
                Some(bases) => Some(Base::of(bases, &plan.platform)?),
            };
            let (built, descriptor, files) = self.platform(&layout, plan, base, &facts, &before, &mut records)?;
            let contents = list(order, &layout, &descriptor, plan.crates.as_deref(), &facts, &files)?;
            platforms.push(built);
            manifests.push(descriptor);
            lists.push(contents);
        }
        let mut root = match manifests.as_slice() {
            [only] => only.clone(),
            _ => layout.write_json(oci::INDEX, &Index::of(manifests))?,
        };
        let digest = root.digest.clone();
        let tag = facts.tag(digest.short());
        root.annotations.insert(oci::REF_NAME.to_owned(), tag.clone());
        let sbom = lists.iter().map(|list| list.digest.clone()).collect();
        layout.finish(&Index::of([vec![root], lists].concat()))?;
        let text = serde_json::to_vec(&records).or_fail(|| "can't write what is known of the layers".into())?;
        layout.put(RECORDS, &text)?;
        let layout = order.layout.clone();
        Ok(Built { name: order.name.clone(), digest, tag, layout, platforms, sbom, took: Duration::ZERO })
    }

    /// A file that can't be read is as good as none: everything is packed anew.
    fn records(&self) -> Records {
        let text = std::fs::read(self.order.layout.join(RECORDS)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn platform(
        &self,
        layout: &Layout,
        plan: &Plan,
        base: Option<&Base>,
        facts: &Facts,
        before: &Records,
        records: &mut Records,
    ) -> Result<(BuiltPlatform, Descriptor, BTreeMap<String, Digest>)> {
        let order = &self.order;
        let created = facts.created_text();
        let mut config = Config {
            created: Some(created.clone()),
            architecture: plan.platform.architecture.clone(),
            os: plan.platform.os.clone(),
            variant: plan.platform.variant.clone(),
            config: plan::run(order, base.map(|base| base.config.config.clone()), plan::user(&order.image, &Silent)?),
            rootfs: base.map_or_else(RootFs::default, |base| base.config.rootfs.clone()),
            history: base.map(|base| base.config.history.clone()).unwrap_or_default(),
        };
        let annotations = annotations(order, facts, base);
        config.config.labels.extend(annotations.clone());
        config.config.labels.insert("org.opencontainers.image.created".to_owned(), created.clone());
        config.config.labels.extend(order.image.labels.clone());
        let (mut layers, mut built, mut files) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (descriptor, path) in base.iter().flat_map(|base| &base.layers) {
            layout.take(path, &descriptor.digest, descriptor.size)?;
            layers.push(descriptor.bare());
            let title = "base".to_owned();
            built.push(BuiltLayer { title, digest: descriptor.digest.clone(), size: descriptor.size, cached: true });
        }
        let compression = order.image.compression.unwrap_or_default();
        for layer in &plan.layers {
            let (record, cached) = self.layer(layout, layer, compression, before, records)?;
            layers.push(Descriptor::new(oci::layer_type(compression), record.digest.clone(), record.size));
            config.rootfs.diff_ids.push(record.diff_id);
            config.history.push(History {
                created: Some(created.clone()),
                created_by: Some(format!("streamify image build: {}", layer.title)),
                ..History::default()
            });
            files.extend(record.files);
            built.push(BuiltLayer { title: layer.title.clone(), digest: record.digest, size: record.size, cached });
        }
        let descriptor = layout.write_image(&config, layers, annotations)?;
        let digest = descriptor.digest.clone();
        let built = BuiltPlatform { platform: plan.platform.to_string(), digest, layers: built };
        Ok((built, descriptor, files))
    }

    /// Packs a layer, unless it was packed before: nothing of its files has changed, or their content has not.
    fn layer(
        &self,
        layout: &Layout,
        layer: &Layer,
        compression: Compression,
        before: &Records,
        records: &mut Records,
    ) -> Result<(Record, bool)> {
        let what = || format!("can't pack the layer with {} of the image {}", layer.title, self.order.name);
        let (identity, mut stamp) = layer.identity()?;
        if stamp.is_none() {
            // A program fresh from the compiler: a moment later a change of it can be seen.
            std::thread::sleep(SETTLED);
            stamp = layer.identity()?.1;
        }
        let key = Digest::of(format!("{identity} {compression:?}").as_bytes());
        if let Some(known) = records.get(&key) {
            // Another platform has the same layer.
            return Ok((known.clone(), true));
        }
        let known = before.get(&key).filter(|record| layout.has(&record.digest, record.size));
        if let Some(record) = known {
            let is_same = stamp.is_some() && record.stamp == stamp;
            let content = layer.size();
            if is_same || (content == record.content && layer.diff_id().or_fail(what)? == record.diff_id) {
                let record = Record { stamp, content, ..record.clone() };
                records.insert(key, record.clone());
                return Ok((record, true));
            }
        }
        self.report.doing(&self.order.name, &format!("packing {}", layer.title));
        let content = layer.size();
        let mut file = layout.temporary()?;
        let (files, packed) = compress::pack(compression, file.as_file_mut(), |out| layer.write(out)).or_fail(what)?;
        layout.keep(file, &packed.digest)?;
        let compress::Packed { diff_id, digest, size } = packed;
        let record = Record { stamp, content, diff_id, digest, size, files };
        records.insert(key, record.clone());
        Ok((record, false))
    }
}

/// What the manifest says of itself; labels say the same, for those who only see a container.
pub(super) fn annotations(order: &Order, facts: &Facts, base: Option<&Base>) -> BTreeMap<String, String> {
    let name = |key: &str| format!("org.opencontainers.image.{key}");
    let mut all = BTreeMap::from([(name("title"), order.name.clone())]);
    let image = &order.image;
    let is_own = image.binary.is_none() && image.folder.is_none() && image.dockerfile.is_none();
    let version = facts.version.clone().or_else(|| is_own.then(|| env!("CARGO_PKG_VERSION").to_owned()));
    for (key, value) in [("revision", &facts.revision), ("source", &facts.source), ("version", &version)] {
        all.extend(value.clone().map(|value| (name(key), value)));
    }
    if let Some(base) = base {
        all.insert(oci::BASE_NAME.to_owned(), base.reference.name());
        all.insert(oci::BASE_DIGEST.to_owned(), base.digest.to_string());
    }
    all
}

/// Writes the list of contents as an artifact that refers to the image (image specification 1.1, "Guidelines for
/// Artifact Usage").
pub(super) fn list(
    order: &Order,
    layout: &Layout,
    subject: &Descriptor,
    crates: Option<&str>,
    facts: &Facts,
    files: &BTreeMap<String, Digest>,
) -> Result<Descriptor> {
    let version = order.image.labels.get("org.opencontainers.image.version").map(String::as_str);
    let document = sbom::document(&order.name, version, facts, crates, files);
    let created = BTreeMap::from([("org.opencontainers.image.created".to_owned(), facts.created_text())]);
    let manifest = Manifest {
        schema_version: 2,
        media_type: oci::MANIFEST.to_owned(),
        artifact_type: Some(oci::SBOM.to_owned()),
        config: layout.write(oci::EMPTY, b"{}")?,
        layers: vec![layout.write_json(oci::SBOM, &document)?],
        subject: Some(subject.bare()),
        annotations: created.clone(),
    };
    let mut descriptor = layout.write_json(oci::MANIFEST, &manifest)?;
    descriptor.artifact_type = Some(oci::SBOM.to_owned());
    descriptor.annotations = created;
    Ok(descriptor)
}

/// For what was told already.
struct Silent;

impl Report for Silent {
    fn event(&self, _: crate::report::Event) {}
}

/// The layout of an image in its usual place.
///
/// # Errors
/// It was not built yet.
pub fn built_layout(folder: &std::path::Path, name: &str) -> Result<Layout> {
    Layout::open(folder).map_err(|failure| {
        Failure { hints: Vec::new(), ..failure }.hint(format!("Build it first: streamify image build {name}"))
    })
}

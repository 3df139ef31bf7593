//! The page in its bucket: what has changed is uploaded, what names change with first; then the distribution forgets
//! the files that keep their names.
//!
//! What was uploaded is remembered in the bucket itself, in a file that is written last: an upload that was cut short
//! is found and done again. Files of the page before stay, for whoever has it open.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>,
//! <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html>.

use std::collections::BTreeMap;
use std::fmt::Write;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::archive::hexadecimal;
use crate::aws::{Aws, Call, Service};
use crate::failure::{Failure, OrFail, Result};

/// Where what was uploaded is remembered.
const MANIFEST: &str = ".streamify/page.json";
/// Uploads that are under way at once.
const AT_ONCE: usize = 8;
/// Paths that are named one by one; more are all of them.
const PATHS: usize = 30;

/// A file of a page.
#[derive(Clone, Debug)]
pub struct PageFile {
    /// Its key, without a slash before it.
    pub name: String,
    pub data: Vec<u8>,
    pub content_type: String,
    pub cache_control: String,
}

impl PageFile {
    /// Whether it is what it is for ever: another content has another name.
    fn is_immutable(&self) -> bool {
        self.cache_control.contains("immutable")
    }

    fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.content_type.as_bytes(), self.cache_control.as_bytes(), &self.data] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hexadecimal(&hash.finalize())
    }
}

/// What is in the bucket: names and hashes.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub(super) struct Manifest {
    files: BTreeMap<String, String>,
    /// Of the page before.
    #[serde(default)]
    before: BTreeMap<String, String>,
}

/// What is to be done to a bucket.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PagePlan {
    pub bucket: String,
    /// Names of files that are new or changed.
    pub upload: Vec<String>,
    /// Names of files that neither this page nor the one before has.
    pub delete: Vec<String>,
    /// Whether the page is another one than what is in the bucket.
    pub is_changed: bool,
    #[serde(skip)]
    manifest: Manifest,
}

impl PagePlan {
    /// Compares a page with what is in its bucket.
    pub(super) fn of(bucket: &str, files: &[PageFile], now: Manifest) -> Self {
        let wanted: BTreeMap<String, String> = files.iter().map(|file| (file.name.clone(), file.sha256())).collect();
        if wanted == now.files {
            return Self { bucket: bucket.to_owned(), manifest: now, ..Self::default() };
        }
        let upload = wanted.iter().filter(|(name, hash)| now.files.get(*name) != Some(hash));
        let delete = now.before.keys().filter(|name| !wanted.contains_key(*name) && !now.files.contains_key(*name));
        Self {
            bucket: bucket.to_owned(),
            upload: upload.map(|(name, _)| name.clone()).collect(),
            delete: delete.cloned().collect(),
            is_changed: true,
            manifest: Manifest { files: wanted, before: now.files },
        }
    }

    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        !self.is_changed
    }
}

fn object(bucket: &str, key: &str) -> String {
    let key: Vec<String> = key.split('/').map(Call::part).collect();
    format!("/{}/{}", Call::part(bucket), key.join("/"))
}

/// What the bucket remembers; nothing where nothing was uploaded yet.
pub(super) async fn manifest(aws: &Aws, bucket: &str) -> Result<Manifest> {
    let doing = format!("can't look into the bucket {bucket}");
    let reply = aws.call(&Call::new(Service::S3, Method::GET, object(bucket, MANIFEST)), &doing).await?;
    // Without the right to list, S3 says that a missing object is forbidden; writing it later says whether it is.
    if reply.status == StatusCode::FORBIDDEN && reply.code() == "AccessDenied" {
        return Ok(Manifest::default());
    }
    if reply.status == StatusCode::NOT_FOUND {
        if reply.code() == "NoSuchBucket" {
            return Err(aws.refused_by(&reply, &doing).hint("Terraform makes it: run `streamify infra apply` first."));
        }
        return Ok(Manifest::default());
    }
    if !reply.status.is_success() {
        return Err(aws.refused_by(&reply, &doing));
    }
    // One that somebody else wrote is as good as none.
    Ok(serde_json::from_slice(&reply.body).unwrap_or_default())
}

/// Uploads what the plan names, and forgets what is not needed any more.
pub(super) async fn upload(aws: &Aws, plan: &PagePlan, files: &[PageFile]) -> Result<()> {
    let changed: Vec<&PageFile> = files.iter().filter(|file| plan.upload.contains(&file.name)).collect();
    // Whoever loads the new entry point finds all that it names.
    let (first, then): (Vec<&PageFile>, Vec<&PageFile>) = changed.into_iter().partition(|file| file.is_immutable());
    for part in [first, then] {
        let puts = part.into_iter().map(|file| put(aws, &plan.bucket, file));
        stream::iter(puts).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    }
    let text = serde_json::to_vec(&plan.manifest).or_fail(|| "can't write what was uploaded".to_owned())?;
    let manifest = PageFile {
        name: MANIFEST.to_owned(),
        data: text,
        content_type: "application/json".to_owned(),
        cache_control: "no-store".to_owned(),
    };
    put(aws, &plan.bucket, &manifest).await?;
    for name in &plan.delete {
        let doing = format!("can't delete {name} from the bucket {}", plan.bucket);
        aws.accepted(&Call::new(Service::S3, Method::DELETE, object(&plan.bucket, name)), &doing).await?;
    }
    Ok(())
}

async fn put(aws: &Aws, bucket: &str, file: &PageFile) -> Result<()> {
    let call = Call::new(Service::S3, Method::PUT, object(bucket, &file.name))
        .header("content-type", &file.content_type)
        .header("cache-control", &file.cache_control)
        .body(file.data.clone());
    aws.accepted(&call, &format!("can't upload {} to the bucket {bucket}", file.name)).await?;
    Ok(())
}

/// Has a distribution forget the files of a plan that keep their names; gives the invalidation's id, where there is
/// anything to forget. `reference` is the same for the same wish.
pub(super) async fn invalidate(
    aws: &Aws,
    distribution: &str,
    plan: &PagePlan,
    files: &[PageFile],
    reference: &str,
) -> Result<Option<String>> {
    let kept = files.iter().filter(|file| !file.is_immutable() && plan.upload.contains(&file.name));
    let mut paths: Vec<String> = Vec::new();
    for file in kept {
        paths.push(format!("/{}", file.name));
        if let Some(folder) = file.name.strip_suffix("index.html") {
            paths.push(format!("/{folder}"));
        }
    }
    if paths.is_empty() {
        return Ok(None);
    }
    if paths.len() > PATHS {
        paths = vec!["/*".to_owned()];
    }
    let doing = format!("can't invalidate the distribution {distribution}");
    let path = format!("/2020-05-31/distribution/{}/invalidation", Call::part(distribution));
    let call = Call::new(Service::CloudFront, Method::POST, path)
        .header("content-type", "application/xml")
        .body(batch(&paths, reference));
    let reply = aws.accepted(&call, &doing).await?;
    let text = reply.text();
    let document = roxmltree::Document::parse(&text)
        .map_err(|error| Failure::failed(&doing).cause("the answer is not XML").because(&error))?;
    let id = document.descendants().find(|node| node.tag_name().name() == "Id").and_then(|node| node.text());
    Ok(Some(id.unwrap_or_default().to_owned()))
}

fn batch(paths: &[String], reference: &str) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let items = paths.iter().fold(String::new(), |mut items, path| {
        // Paths are sent as browsers ask for them.
        let encoded: Vec<String> = path.split('/').map(Call::part).map(|part| part.replace("%2A", "*")).collect();
        let _ = write!(items, "<Path>{}</Path>", escape(&encoded.join("/")));
        items
    });
    format!(
        "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths><Quantity>{}</Quantity>\
         <Items>{items}</Items></Paths><CallerReference>{}</CallerReference></InvalidationBatch>",
        paths.len(),
        escape(reference)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, data: &str) -> PageFile {
        PageFile {
            name: name.into(),
            data: data.into(),
            content_type: "text/html".into(),
            cache_control: "no-cache".into(),
        }
    }

    #[test]
    fn only_changes_are_uploaded_and_the_page_before_stays() {
        let one = [file("index.html", "1"), file("_nuxt/a.js", "a")];
        let first = PagePlan::of("b", &one, Manifest::default());
        assert_eq!(first.upload, ["_nuxt/a.js", "index.html"]);
        let again = PagePlan::of("b", &one, first.manifest.clone());
        assert!(again.is_empty() && !first.is_empty());
        let two = [file("index.html", "2"), file("_nuxt/b.js", "b")];
        let second = PagePlan::of("b", &two, first.manifest);
        assert_eq!((second.upload.len(), second.delete.len()), (2, 0), "a.js is of the page before");
        let third = PagePlan::of("b", &[file("index.html", "3")], second.manifest);
        assert_eq!((third.upload, third.delete), (vec!["index.html".to_owned()], vec!["_nuxt/a.js".to_owned()]));
    }

    #[test]
    fn another_header_is_another_file() {
        let changed = PageFile { cache_control: "no-store".into(), ..file("a", "1") };
        assert_ne!(changed.sha256(), file("a", "1").sha256());
    }

    #[test]
    fn paths_are_counted_and_written_as_browsers_ask_for_them() {
        let text = batch(&["/index.html".into(), "/a b&c".into(), "/*".into()], "r");
        assert!(
            text.contains("<Quantity>3</Quantity>") && text.contains("<Path>/a%20b%26c</Path><Path>/*</Path>"),
            "{text}"
        );
    }
}

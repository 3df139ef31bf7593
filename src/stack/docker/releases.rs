//! What was deployed to a Docker host, and how to come back to it: a line of JSON for each deploy in the project's data
//! folder, and a name for each image in the engine, so that no clean-up takes one that may be needed again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::engine::{Engine, OrSay, status};
use super::images::split;
use super::observe::look_up;
use super::stack::Stack;
use crate::failure::{Failure, OrFail, Result};

/// An image that a service runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Deployed {
    /// As the Compose file has it.
    pub reference: String,
    /// `sha256:…`, the image's own.
    pub id: String,
}

/// How a deploy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Succeeded,
    RolledBack,
    Failed,
}

/// One deploy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Release {
    pub at: Timestamp,
    /// `user@host`.
    pub by: String,
    /// The commit that the project's folder was at.
    pub commit: Option<String>,
    /// By service.
    pub images: BTreeMap<String, Deployed>,
    pub verdict: Verdict,
    /// Milliseconds.
    pub took_ms: u64,
    /// The one that this one went back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_to: Option<Timestamp>,
}

/// The releases of one project. While it is there, no other deploy of the project can begin.
pub struct Releases {
    file: PathBuf,
    _lock: Flock<File>,
}

impl Releases {
    /// Takes the lock, which ends with the process however that ends.
    ///
    /// # Errors
    /// Another deploy goes on: who, and since when.
    pub fn lock(folder: &Path, who: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).or_fail(|| format!("can't make the folder {}", folder.display()))?;
        let path = folder.join("deploy.lock");
        let say = || format!("can't open {}", path.display());
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).or_fail(say)?;
        let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(mut file, error)| {
            if error != nix::errno::Errno::EWOULDBLOCK {
                return Failure::failed(say()).because(&error);
            }
            let mut holder = String::new();
            // Who holds it may not have written yet.
            let _ = file.read_to_string(&mut holder);
            Failure::failed("another deploy of this project goes on")
                .cause(if holder.is_empty() { "somebody has just begun one".into() } else { holder })
                .hint("Wait until it has ended; a deploy that was killed holds nothing.")
        })?;
        let text = format!("{who}, process {}, since {}", std::process::id(), Timestamp::now());
        lock.set_len(0).and_then(|()| lock.write_all(text.as_bytes())).or_fail(say)?;
        Ok(Self { file: Self::file(folder), _lock: lock })
    }

    fn file(folder: &Path) -> PathBuf {
        folder.join("deploys.jsonl")
    }

    /// All releases, the oldest first; needs no lock. A line that a kill left half-written is left out.
    pub fn read(folder: &Path) -> Result<Vec<Release>> {
        let path = Self::file(folder);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.or_fail(|| format!("can't read {}", path.display()))?,
        };
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Adds a release.
    pub fn add(&self, release: &Release) -> Result<()> {
        let say = || format!("can't write {}", self.file.display());
        let line = serde_json::to_string(release).or_fail(say)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).or_fail(say)?;
        // In front, in case a kill left half a line.
        file.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| file.sync_data()).or_fail(say)
    }
}

/// The release to come back to: the last good one that ran other images than the one that is there now.
pub fn before(releases: &[Release]) -> Option<&Release> {
    let mut good = releases.iter().rev().filter(|release| release.verdict == Verdict::Succeeded);
    let now = good.next()?;
    good.find(|release| release.images != now.images)
}

impl Stack<'_> {
    /// What each service's reference stands for now; services whose image is not there are left out.
    pub async fn images(&self) -> Result<BTreeMap<String, Deployed>> {
        let references: BTreeSet<String> =
            self.project.services.values().map(|service| self.project.image(service)).collect();
        let found = look_up(self.engine, &references).await?;
        let of = |service| {
            let reference = self.project.image(service);
            let id = found.get(&reference)?.id.clone()?;
            Some((service.name.clone(), Deployed { reference, id }))
        };
        Ok(self.project.services.values().filter_map(of).collect())
    }
}

/// The name under which the engine keeps images that were deployed.
fn kept(project: &str) -> String {
    format!("{project}-deployed")
}

/// Keeps the images of the last releases in the engine, and lets go of older ones.
pub async fn keep(engine: &Engine, project: &str, releases: &[Release], most: usize) -> Result<()> {
    let good = releases.iter().rev().filter(|release| release.verdict == Verdict::Succeeded).take(most.max(1));
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    for image in good.flat_map(|release| release.images.values()) {
        wanted.insert(tag_of(&image.id).to_owned(), image.id.clone());
    }
    let name = kept(project);
    let filters = HashMap::from([("reference", vec![name.clone()])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let there = engine.docker.list_images(Some(options)).await.or_say(|| "can't list the images".into())?;
    let tags: BTreeSet<String> = there.into_iter().flat_map(|image| image.repo_tags).collect();
    for (tag, id) in &wanted {
        if !tags.contains(&format!("{name}:{tag}")) {
            let options = TagImageOptionsBuilder::new().repo(&name).tag(tag).build();
            let tagged = engine.docker.tag_image(id, Some(options)).await;
            // One of an older release that somebody removed can't be kept any more.
            if tagged.as_ref().is_err_and(|error| status(error) != Some(404)) {
                tagged.or_say(|| format!("can't keep the image {id}"))?;
            }
        }
    }
    for tag in tags {
        if tag.rsplit_once(':').is_some_and(|(_, tag)| !wanted.contains_key(tag)) {
            let options = RemoveImageOptionsBuilder::new().noprune(false).build();
            // In use: a container of another project may have been made from it. It stays then.
            let _ = engine.docker.remove_image(&tag, Some(options), None).await;
        }
    }
    Ok(())
}

fn tag_of(id: &str) -> &str {
    let hexadecimal = id.strip_prefix("sha256:").unwrap_or(id);
    &hexadecimal[..hexadecimal.len().min(24)]
}

/// Lets a reference stand for an image that it stood for before.
///
/// # Errors
/// The image is not there any more.
pub async fn bring_back(engine: &Engine, image: &Deployed) -> Result<()> {
    if engine.docker.inspect_image(&image.id).await.is_err_and(|error| status(&error) == Some(404)) {
        return Err(Failure::failed(format!("the image {} of {} is not here any more", image.id, image.reference))
            .hint("`streamify history local` lists what else was good; build or pull it again, and deploy it."));
    }
    // A digest stands for what it always stood for.
    if image.reference.contains('@') {
        return Ok(());
    }
    let (name, tag) = split(&image.reference);
    let options = TagImageOptionsBuilder::new().repo(name).tag(tag).build();
    engine
        .docker
        .tag_image(&image.id, Some(options))
        .await
        .or_say(|| format!("can't let {} be {} again", image.reference, image.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(seconds: i64, id: &str, verdict: Verdict) -> Release {
        let image = Deployed { reference: "app:1".into(), id: id.into() };
        Release {
            at: Timestamp::from_second(seconds).unwrap(),
            by: "ada@host".into(),
            commit: None,
            images: BTreeMap::from([("web".to_owned(), image)]),
            verdict,
            took_ms: 1,
            back_to: None,
        }
    }

    #[test]
    fn the_way_back_is_to_the_last_good_one_that_was_another_one() {
        use Verdict::{RolledBack, Succeeded};
        let all = [
            release(1, "a", Succeeded),
            release(2, "b", Succeeded),
            release(3, "bad", RolledBack),
            release(4, "c", Succeeded),
            release(5, "c", Succeeded),
        ];
        assert_eq!(before(&all), Some(&all[1]));
        assert_eq!(before(&all[..2]), Some(&all[0]));
        assert_eq!(before(&all[..1]), None);
    }

    #[test]
    fn half_a_line_is_left_out_and_two_deploys_are_not_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let releases = Releases::lock(folder.path(), "ada@host").unwrap();
        let failure = Releases::lock(folder.path(), "bob@host").map(|_| ()).unwrap_err();
        assert!(failure.causes[0].contains("ada@host"), "{failure:?}");
        releases.add(&release(1, "a", Verdict::Succeeded)).unwrap();
        OpenOptions::new().append(true).open(&releases.file).unwrap().write_all(b"{\"at\":").unwrap();
        releases.add(&release(2, "b", Verdict::Failed)).unwrap();
        assert_eq!(Releases::read(folder.path()).unwrap().len(), 2);
        drop(releases);
        Releases::lock(folder.path(), "bob@host").unwrap();
    }
}

//! Files that are written into containers: configs and secrets without a file on the host.

use std::path::Path;

use bollard::query_parameters::UploadToContainerOptionsBuilder;

use super::engine::{Engine, OrSay};
use super::mounts::File;
use crate::failure::{OrFail, Result};

/// Writes the files into a container that has not started yet.
pub(super) async fn write(engine: &Engine, id: &str, name: &str, files: &[File]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let archive = archive(files).or_fail(|| format!("can't pack the files of {name}"))?;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    engine
        .docker
        .upload_to_container(id, Some(options), bollard::body_full(archive.into()))
        .await
        .or_say(|| format!("can't write configs and secrets into {name}"))
}

fn archive(files: &[File]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut folders: Vec<&Path> = Vec::new();
    for file in files {
        let path = Path::new(file.path.trim_start_matches('/'));
        // A folder that is missing would be made for its owner alone, and the container may run as another user.
        for folder in path
            .ancestors()
            .skip(1)
            .filter(|folder| !folder.as_os_str().is_empty())
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            if !folders.contains(&folder) && folder.starts_with("run/secrets") {
                folders.push(folder);
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                archive.append_data(&mut header, folder, std::io::empty())?;
            }
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(file.user);
        header.set_gid(file.group);
        header.set_size(file.content.len() as u64);
        archive.append_data(&mut header, path, file.content.as_slice())?;
    }
    archive.into_inner()
}

//! The migrations' folder, as sqlx reads it.

use std::path::Path;

use crate::failure::{Failure, OrFail, Result};

/// A migration file.
#[derive(Debug)]
pub(super) struct File {
    pub name: String,
    pub version: i64,
    /// It takes its migration back.
    pub is_down: bool,
    /// Up to the first byte that is not UTF-8.
    pub text: String,
    pub is_cut: bool,
}

/// What is in a folder: the migrations by version, and files of which sqlx makes none.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub files: Vec<File>,
    /// Name, what is wrong, and the way out.
    pub misnamed: Vec<(String, String, String)>,
}

/// Reads a folder; `shown` is how to call it in words.
pub(super) fn read(path: &Path, shown: &Path) -> Result<Folder> {
    let place = shown.display();
    let failed = || format!("can't read the migrations in {place}");
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::usage(format!("there is no folder {place}"))
                .hint("Name the folder of the migrations: streamify migrate check --folder FOLDER"));
        }
        entries => entries.or_fail(failed)?,
    };
    let mut folder = Folder::default();
    for entry in entries {
        let entry = entry.or_fail(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_suffix(".sql").is_none() || !entry.path().is_file() {
            continue;
        }
        let Some((number, _)) = name.split_once('_') else {
            let safer = "name it NUMBER_what_it_does.up.sql, or take it out of the folder".to_owned();
            folder.misnamed.push((name, "it is never run: its name has no `_` after a number".to_owned(), safer));
            continue;
        };
        let Ok(version) = number.parse() else {
            let what = format!("no migration of the folder can be run: `{number}` is no number");
            folder.misnamed.push((name, what, "name it NUMBER_what_it_does.up.sql".to_owned()));
            continue;
        };
        let bytes = std::fs::read(entry.path()).or_fail(|| format!("can't read {}", shown.join(&name).display()))?;
        let valid = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
        let text = String::from_utf8_lossy(&bytes[..valid]).into_owned();
        let is_down = name.ends_with(".down.sql");
        folder.files.push(File { name, version, is_down, text, is_cut: valid < bytes.len() });
    }
    if folder.files.is_empty() && folder.misnamed.is_empty() {
        return Err(Failure::usage(format!("there is no migration in {place}"))
            .hint("Begin one: streamify migrate add NAME, or name another folder: --folder FOLDER"));
    }
    folder.files.sort_by(|one, another| (one.version, &one.name).cmp(&(another.version, &another.name)));
    folder.misnamed.sort();
    Ok(folder)
}

impl Folder {
    /// What is wrong with the version of a file, beside the other files, and the way out.
    pub fn clash(&self, file: &File) -> Option<(String, String)> {
        let same = |other: &&File| other.version == file.version;
        let mut twins = self.files.iter().filter(same).filter(|other| other.is_down == file.is_down);
        let first = twins.next().filter(|first| first.name != file.name);
        if let Some(first) = first {
            let what = format!("version {} is taken by {}: only one of them is ever run", file.version, first.name);
            return Some((what, "give the newer one the next free number".to_owned()));
        }
        let has_up = self.files.iter().filter(same).any(|other| !other.is_down);
        let lonely = file.is_down && !has_up;
        let what = || format!("it is never run: there is no up file of version {}", file.version);
        lonely.then(|| (what(), "write the up file, or take this one away".to_owned()))
    }

    /// The file that takes a version back.
    pub fn down(&self, version: i64) -> Option<&File> {
        self.files.iter().find(|file| file.version == version && file.is_down)
    }
}

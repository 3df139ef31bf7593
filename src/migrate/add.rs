//! A new migration's two files.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, OrFail, Result};

/// Writes `NNNN_name.up.sql` and `NNNN_name.down.sql` with the next number; never overwrites.
pub fn add(folder: &Path, name: &str) -> Result<[PathBuf; 2]> {
    let slug: String =
        name.trim().to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let slug = slug.trim_matches('_');
    if slug.is_empty() {
        return Err(Failure::usage(format!("`{name}` is no name for a migration")).hint("For example: add_video_tags"));
    }
    std::fs::create_dir_all(folder).or_fail(|| format!("can't make the folder {}", folder.display()))?;
    let entries = std::fs::read_dir(folder).or_fail(|| format!("can't read the folder {}", folder.display()))?;
    let mut newest = 0;
    for entry in entries {
        let entry = entry.or_fail(|| format!("can't read the folder {}", folder.display()))?;
        let file = entry.file_name();
        let number =
            file.to_str().and_then(|file| file.split_once('_')).and_then(|(number, _)| number.parse::<i64>().ok());
        newest = newest.max(number.unwrap_or(0));
    }
    let stem = format!("{:04}_{slug}", newest + 1);
    let up = write(folder, &format!("{stem}.up.sql"), "-- What changes, and why.\nset local lock_timeout = '3s';\n\n")?;
    let down = write(
        folder,
        &format!("{stem}.down.sql"),
        "-- Takes back what the up file does.\nset local lock_timeout = '3s';\n\n",
    )?;
    Ok([up, down])
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .or_fail(|| format!("can't make {}", path.display()))?;
    file.write_all(text.as_bytes()).or_fail(|| format!("can't write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        add(folder.path(), "Create Users").unwrap();
        let [up, down] = add(folder.path(), "tags").unwrap();
        assert!(folder.path().join("0001_create_users.up.sql").is_file());
        assert!(up.ends_with("0002_tags.up.sql") && down.ends_with("0002_tags.down.sql"));
        assert!(add(folder.path(), " - ").is_err());
    }
}

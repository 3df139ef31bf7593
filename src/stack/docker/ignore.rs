//! `.dockerignore`: what a build's context leaves out.
//!
//! Patterns as <https://docs.docker.com/build/concepts/context/#dockerignore-files> describes them: relative to the
//! context, `**` for any number of folders, `!` for what goes along after all; the last one that matches decides.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::failure::{Failure, OrFail, Result};

/// The patterns of one file.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    /// Each with whether it lets its files go along after all.
    patterns: Vec<(Regex, bool)>,
}

impl Ignored {
    /// Reads `NAME.dockerignore` beside the Dockerfile, or `.dockerignore` of the context.
    pub(super) fn read(context: &Path, dockerfile: &Path) -> Result<Self> {
        let mut own = dockerfile.as_os_str().to_owned();
        own.push(".dockerignore");
        let path = [PathBuf::from(own), context.join(".dockerignore")].into_iter().find(|path| path.is_file());
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(&path).or_fail(|| format!("can't read {}", path.display()))?;
        Self::parse(&text).map_err(|(line, pattern)| {
            Failure::usage(format!("{}:{line}: this pattern can't be used: {pattern}", path.display()))
        })
    }

    /// Patterns of a list, as `watch` has them.
    pub(super) fn of(patterns: &[String]) -> std::result::Result<Self, String> {
        Self::parse(&patterns.join("\n")).map_err(|(_, pattern)| pattern)
    }

    fn parse(text: &str) -> std::result::Result<Self, (usize, String)> {
        let mut patterns = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (line, goes_along) = line.strip_prefix('!').map_or((line, false), |rest| (rest.trim(), true));
            let pattern = line.trim_start_matches("./").trim_matches('/');
            if pattern.is_empty() || pattern == "." {
                continue;
            }
            let regex = Regex::new(&expression(pattern)).map_err(|_| (index + 1, line.to_owned()))?;
            patterns.push((regex, goes_along));
        }
        Ok(Self { patterns })
    }

    /// Whether a path, relative to the context, is left out: by itself or by a folder above it.
    pub(super) fn leaves_out(&self, relative: &Path) -> bool {
        let mut out = false;
        for (pattern, goes_along) in &self.patterns {
            let matches = relative
                .ancestors()
                .filter(|path| !path.as_os_str().is_empty())
                .any(|path| pattern.is_match(&path.to_string_lossy()));
            if matches {
                out = !goes_along;
            }
        }
        out
    }

    /// Everything below the folder that is not left out, folders before what is in them, in the order of names.
    pub(super) fn walk(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        self.visit(folder, folder, &mut found)?;
        Ok(found)
    }

    fn visit(&self, root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        let unreadable = || format!("can't read the folder {}", folder.display());
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).or_fail(unreadable)?.collect::<std::io::Result<_>>().or_fail(unreadable)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let exceptions = self.patterns.iter().any(|(_, goes_along)| *goes_along);
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().or_fail(unreadable)?;
            let out = self.leaves_out(path.strip_prefix(root).unwrap_or(&path));
            // Sockets and pipes have no content that could be sent.
            let has_content = kind.is_dir() || kind.is_file() || kind.is_symlink();
            if !out && has_content {
                found.push(path.clone());
            }
            // Below a folder that is left out, an exception may still let something go along.
            if kind.is_dir() && (!out || exceptions) {
                self.visit(root, &path, found)?;
            }
        }
        Ok(())
    }
}

fn expression(pattern: &str) -> String {
    let mut text = String::from("^");
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            text.push_str("(?:.*/)?");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("**") {
            text.push_str(".*");
            rest = after;
            continue;
        }
        let length = first.len_utf8();
        match first {
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' | ']' | '-' | '^' => text.push(first),
            '\\' => {
                let next = rest[length..].chars().next().unwrap_or('\\');
                text.push_str(&regex::escape(&next.to_string()));
                rest = rest[length..].strip_prefix(next).unwrap_or_default();
                continue;
            }
            other => text.push_str(&regex::escape(&other.to_string())),
        }
        rest = &rest[length..];
    }
    text.push('$');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_decide_in_order_and_folders_take_what_is_in_them() {
        let ignored =
            Ignored::parse("# comment\nnode_modules\n**/*.log\n/target/\ndocs/*\n!docs/keep.md\na?c\n").unwrap();
        let out = |path: &str| ignored.leaves_out(Path::new(path));
        for path in ["node_modules/x/y.js", "deep/down/a.log", "a.log", "target/debug/x", "docs/other.md", "abc"] {
            assert!(out(path), "{path}");
        }
        for path in ["sub/node_modules", "docs/keep.md", "src/main.rs", "ac", "a/c"] {
            assert!(!out(path), "{path}");
        }
    }

    #[test]
    fn a_walk_leaves_out_and_finds_exceptions() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["build/out.bin", "build/keep.txt", "src/a.rs"] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), "x").unwrap();
        }
        std::fs::write(root.join(".dockerignore"), "build\n!build/keep.txt\n.dockerignore\n").unwrap();
        let ignored = Ignored::read(root, &root.join("Dockerfile")).unwrap();
        let names = ignored.walk(root).unwrap();
        let names: Vec<_> = names.iter().map(|path| path.strip_prefix(root).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["build/keep.txt", "src", "src/a.rs"]);
    }
}

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::json;

use super::{Context, Outcome};
use crate::failure::{Failure, OrFail, Result};
use crate::settings::{FILE_NAME, project_name};

/// Start a project: write streamify.yaml with every setting explained
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify init\n  streamify -C new-project init --name cinema")]
pub(super) struct Arguments {
    /// The project's name [default: the folder's]
    #[arg(long)]
    name: Option<String>,
}

/// The starter file; tests hold it to the schema.
const STARTER: &str = include_str!("../../templates/streamify.yaml");
/// What must never be committed.
const IGNORED: [&str; 2] = [".streamify/", ".env"];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let folder = context.flags.directory.clone().unwrap_or_else(|| ".".into());
    std::fs::create_dir_all(&folder).or_fail(|| format!("can't make the folder {}", folder.display()))?;
    let folder = folder.canonicalize().or_fail(|| format!("can't use the folder {}", folder.display()))?;
    let name = arguments.name.clone().unwrap_or_else(|| project_name(&folder));
    let path = folder.join(FILE_NAME);
    write_new(&path, &STARTER.replace("{{name}}", &name))?;
    let ignored = ignore(&folder)?;
    context.terminal.result(
        |paint| {
            let mut lines = vec![format!("{} wrote {}", paint.good("✔"), path.display())];
            if ignored {
                lines.push(format!("{} added {} to .gitignore", paint.good("✔"), IGNORED.join(" and ")));
            }
            lines.push(format!("Next: {}", paint.strong("streamify dev up")));
            lines.join("\n")
        },
        &json!({"file": path, "name": name, "gitignore_changed": ignored}),
    )?;
    Ok(Outcome::Done)
}

/// Never overwrites: a person's settings are worth more than a starter.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    if file.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
        return Err(Failure::failed(format!("{} is there already", path.display()))
            .hint("See what it means with: streamify config show"));
    }
    file.and_then(|mut file| file.write_all(text.as_bytes())).or_fail(|| format!("can't write {}", path.display()))
}

/// Adds what must not be committed to `.gitignore`, if it is missing there.
fn ignore(folder: &Path) -> Result<bool> {
    let path = folder.join(".gitignore");
    let before = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        other => other.or_fail(|| format!("can't read {}", path.display()))?,
    };
    let has = |entry: &str| before.lines().any(|line| line.trim().trim_matches('/') == entry.trim_matches('/'));
    let missing: Vec<&str> = IGNORED.into_iter().filter(|entry| !has(entry)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let after = format!("{before}{gap}{}\n", missing.join("\n"));
    let mut file =
        tempfile::NamedTempFile::new_in(folder).or_fail(|| format!("can't write in {}", folder.display()))?;
    file.write_all(after.as_bytes()).or_fail(|| format!("can't write {}", path.display()))?;
    file.persist(&path).map_err(|error| error.error).or_fail(|| format!("can't write {}", path.display()))?;
    Ok(true)
}

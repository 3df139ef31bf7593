use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::{Context, Outcome};
use crate::failure::{Failure, OrFail, Result};
use crate::settings::{FILE_NAME, project_name};

/// Start a project: write streamify.yaml with every setting explained, and .env with random secrets
///
/// .env is for the local stack on Docker. What it has stays; what it lacks is added. Never commit it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify init\n  streamify -C new-project init --name cinema\n  \
                        streamify init --secrets")]
pub(super) struct Arguments {
    /// The project's name [default: the folder's]
    #[arg(long)]
    name: Option<String>,
    /// Only .env and .gitignore: for a project whose settings are there
    #[arg(long, conflicts_with = "name")]
    secrets: bool,
}

/// The starter file; tests hold it to the schema.
const STARTER: &str = include_str!("../../templates/streamify.yaml");
/// What must never be committed.
const IGNORED: [&str; 2] = [".streamify/", ".env"];
/// What Compose reads by itself.
const SECRETS_FILE: &str = ".env";
const SECRETS_HEAD: &str = "# Secrets of the local stack on Docker. Never commit this file.\n";
/// The variables that `docker-compose.yml` asks for, with what stands before the random part: a key has a name.
const SECRETS: [(&str, &str); 2] = [("POSTGRES_PASSWORD", ""), ("JWT_KEYS", "dev:")];

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let folder = context.flags.directory.clone().unwrap_or_else(|| ".".into());
    std::fs::create_dir_all(&folder).or_fail(|| format!("can't make the folder {}", folder.display()))?;
    let folder = folder.canonicalize().or_fail(|| format!("can't use the folder {}", folder.display()))?;
    let mut done = Vec::new();
    let mut file = json!(null);
    let name = arguments.name.clone().unwrap_or_else(|| project_name(&folder));
    if !arguments.secrets {
        let path = folder.join(FILE_NAME);
        write_new(&path, &STARTER.replace("{{name}}", &name))?;
        done.push(format!("wrote {}", path.display()));
        file = json!(path);
    }
    // Before there is something in it that must not be committed.
    let ignored = ignore(&folder)?;
    if ignored {
        done.push(format!("added {} to .gitignore", IGNORED.join(" and ")));
    }
    let secrets = write_secrets(&folder.join(SECRETS_FILE))?;
    if !secrets.is_empty() {
        done.push(format!("made {} in {SECRETS_FILE}", secrets.join(" and ")));
    }
    context.terminal.result(
        |paint| {
            let mut lines: Vec<_> = done.iter().map(|what| format!("{} {what}", paint.good("✔"))).collect();
            if lines.is_empty() {
                lines.push(format!("{} nothing to do: {SECRETS_FILE} has its secrets", paint.good("✔")));
            }
            lines.push(format!("Next: {}", paint.strong("streamify dev up")));
            lines.join("\n")
        },
        &json!({"file": file, "name": name, "gitignore_changed": ignored, "secrets": secrets}),
    )?;
    Ok(Outcome::Done)
}

/// Adds the secrets that the file lacks, readable by its owner only; gives their names.
fn write_secrets(path: &Path) -> Result<Vec<&'static str>> {
    let before = read_or_empty(path)?;
    let has = |name: &str| {
        let assigned =
            |line: &str| line.trim_start_matches("export ").split_once('=').map(|(left, _)| left.trim() == name);
        before.lines().any(|line| assigned(line.trim()) == Some(true))
    };
    let mut after = if before.is_empty() { SECRETS_HEAD.to_owned() } else { before.clone() };
    let mut made = Vec::new();
    for (name, prefix) in SECRETS {
        if has(name) {
            continue;
        }
        if !after.ends_with('\n') {
            after.push('\n');
        }
        // Hexadecimal: it stands in a URL and in an environment file as it is.
        let random = random()?.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        after.extend([name, "=", prefix, &random, "\n"]);
        made.push(name);
    }
    if !made.is_empty() {
        replace(path, &after, 0o600)?;
    }
    Ok(made)
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .or_fail(|| "can't read random bytes".into())?;
    Ok(bytes)
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
    let before = read_or_empty(&path)?;
    let has = |entry: &str| before.lines().any(|line| line.trim().trim_matches('/') == entry.trim_matches('/'));
    let missing: Vec<&str> = IGNORED.into_iter().filter(|entry| !has(entry)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let after = format!("{before}{gap}{}\n", missing.join("\n"));
    replace(&path, &after, 0o644)?;
    Ok(true)
}

fn read_or_empty(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.or_fail(|| format!("can't read {}", path.display())),
    }
}

/// Puts a whole new file in the place of the old one, with this mode from its first byte.
fn replace(path: &Path, text: &str, mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let permissions = Permissions::from_mode(mode);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().or_fail(|| format!("can't write {}", path.display()))
}

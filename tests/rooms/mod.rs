//! Who may use whom: a scan of `use crate::` paths against the map in `src/lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and what it may use besides itself; `cli` may use every room.
const ARROWS: [(&str, &[&str]); 17] = [
    ("failure", &[]),
    ("report", &[]),
    ("tty", &["failure"]),
    ("settings", &["failure"]),
    ("aws", &["failure", "settings"]),
    ("terraform", &["failure", "settings"]),
    ("outputs", &["failure", "settings", "terraform"]),
    ("infra", &["aws", "failure", "report", "settings", "terraform"]),
    ("verify", &["aws", "failure", "outputs", "report", "secrets", "settings"]),
    ("secrets", &["aws", "failure", "outputs", "report", "settings"]),
    ("terminal", &["failure", "report"]),
    ("stack", &["failure", "report", "settings", "tty"]),
    ("migrate", &["failure", "report", "settings"]),
    ("image", &["failure", "report", "settings"]),
    ("kafka", &["failure", "report", "settings"]),
    ("lambda", &["aws", "failure", "secrets", "settings"]),
    ("deploy", &["aws", "failure", "outputs", "report", "secrets", "settings", "tty"]),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The rooms that a file names by a path from the crate's root.
fn used_rooms(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| {
            let list = rest.strip_prefix('{').and_then(|list| list.split('}').next()).unwrap_or(rest);
            let names = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
            names
                .into_iter()
                .map(|name| name.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>())
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (room, allowed) in ARROWS {
        let folder = source.join(room);
        let files = if folder.is_dir() { rust_files(&folder) } else { vec![source.join(format!("{room}.rs"))] };
        for file in files {
            seen += 1;
            for used in used_rooms(&fs::read_to_string(&file).unwrap()) {
                if used != room && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{} uses {used}", file.display()));
                }
            }
        }
    }
    assert!(seen > 20, "the scan found only {seen} files");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_backend_knows_nothing_of_the_tool() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("app/backend/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    assert!(!dependencies.lines().any(|line| line.starts_with("streamify ") || line.starts_with("streamify=")));
}

#[test]
fn every_room_is_on_the_map() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rooms = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for room in rooms.filter(|room| *room != "cli") {
        assert!(ARROWS.iter().any(|(known, _)| *known == room), "{room} has no arrows");
    }
}

#[test]
fn the_scan_sees_every_form_of_a_path() {
    let used = used_rooms(
        "use crate::failure::Result;\n// crate::cli\nlet x = crate::stack::y();\nuse crate::{kafka, migrate::z};",
    );
    assert_eq!(used, ["failure", "stack", "kafka", "migrate"]);
}

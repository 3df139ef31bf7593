//! What a loaded project tells besides its text, and what the command prints of it.

use std::collections::BTreeMap;
use std::fs;

use streamify::stack::compose::model::{NoteKind, PullPolicy, Restart};
use streamify::stack::compose::{Project, Request, load};

use super::{Case, text};

/// Loads one file with variables, in a folder of its own.
fn project(file: &str, variables: &[(&str, &str)]) -> Project {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yaml"), file).unwrap();
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Request { here: folder.path().to_path_buf(), environment, ..Request::default() }).unwrap()
}

#[test]
fn what_will_not_be_as_meant_is_noted_with_its_place() {
    let file = concat!(
        "version: '3'\n",
        "services:\n",
        "  web:\n",
        "    image: x:$TAG\n",
        "    command: run > log\n",
        "    restart: sometimes\n",
        "    deploy:\n",
        "      placement: {constraints: [a]}\n",
        "      mode: replicated\n",
        "    depends_on: {init: {condition: service_completed_successfully}}\n",
        "  init: {image: y, restart: always}\n",
    );
    let project = project(file, &[]);
    let notes: Vec<(usize, usize, NoteKind)> =
        project.notes.iter().map(|note| (note.line, note.column, note.kind)).collect();
    assert_eq!(
        notes,
        [
            (1, 1, NoteKind::Deprecated),
            (4, 12, NoteKind::UnsetVariable),
            (5, 14, NoteKind::Unsupported),
            (6, 14, NoteKind::Unsupported),
            (8, 7, NoteKind::Unsupported),
            (10, 24, NoteKind::Unsupported),
        ],
        "{:#?}",
        project.notes
    );
    assert!(project.notes.iter().all(|note| note.file.as_os_str() == "compose.yaml"));
}

#[test]
fn what_only_a_cluster_has_is_noted() {
    let file = concat!(
        "services:\n  a:\n    image: x\n    secrets: [s]\n    volumes: [{type: npipe, source: p, target: /p}]\n",
        "secrets:\n  s: {external: true}\n  unused: {external: true}\n"
    );
    let project = project(file, &[]);
    let lines: Vec<usize> = project.notes.iter().map(|note| note.line).collect();
    assert_eq!(lines, [5, 7], "{:#?}", project.notes);
}

#[test]
fn secrets_are_there_for_the_engine_and_nowhere_else() {
    let file = concat!(
        "services:\n  web:\n    image: x\n    secrets: [token]\n    configs: [text]\n    environment: [PASSWORD]\n",
        "secrets: {token: {environment: TOKEN}}\nconfigs: {text: {environment: TEXT}}\n"
    );
    let project = project(file, &[("TOKEN", "hunter2"), ("TEXT", "hunter3"), ("PASSWORD", "hunter4")]);
    assert_eq!(project.secrets["token"].resolved.as_ref().unwrap().0, "hunter2");
    assert_eq!(project.configs["text"].resolved.as_ref().unwrap().0, "hunter3");
    assert_eq!(project.services["web"].environment["PASSWORD"].as_deref(), Some("hunter4"));
    assert!(!format!("{project:?}").contains("hunter"), "{project:?}");
    let printed = streamify::stack::compose::yaml(&project).unwrap();
    assert!(!printed.contains("hunter2") && !printed.contains("hunter3"), "{printed}");
}

#[test]
fn a_value_of_a_file_with_variables_is_in_no_message() {
    for (file, line) in [("PASSWORD='hunter2\n", 1), ("A=1\nPASSWORD=hunter2${\n", 2), ("hunter2 hunter3\n", 1)] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("compose.yaml"), "services: {web: {image: x, env_file: secret.env}}").unwrap();
        fs::write(folder.path().join("secret.env"), file).unwrap();
        let failure = load(&Request { here: folder.path().to_path_buf(), ..Request::default() }).unwrap_err();
        assert!(failure.message.starts_with(&format!("secret.env:{line}:")), "{failure:?}");
        assert!(!format!("{failure:?}").contains("hunter"), "{failure:?}");
    }
}

#[test]
fn what_the_engine_asks_for_is_answered() {
    let file = concat!(
        "name: app\nservices:\n",
        "  a: {image: x, restart: 'on-failure:3', pull_policy: every_12h, scale: 2}\n",
        "  b: {build: ., deploy: {replicas: 3, restart_policy: {condition: any}}}\n",
    );
    let project = project(file, &[]);
    let (a, b) = (&project.services["a"], &project.services["b"]);
    assert_eq!((a.restarts(), b.restarts()), (Restart::OnFailure(3), Restart::Always));
    assert_eq!((a.replicas(), b.replicas()), (2, 3));
    assert_eq!((project.image(a).as_str(), project.image(b).as_str()), ("x", "app-b"));
    assert!(matches!(a.pulls(), PullPolicy::Refresh(time) if time.to_std().as_secs() == 12 * 3600));
    assert_eq!(b.pulls(), PullPolicy::Missing);
}

#[test]
fn several_problems_are_told_together_in_reading_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = "services:\n  web: {imge: x}\n  api: {image: y, prots: []}\nvolums: {}\n";
    fs::write(folder.path().join("compose.yaml"), file).unwrap();
    let failure = load(&Request { here: folder.path().to_path_buf(), ..Request::default() }).unwrap_err();
    let lines: Vec<&str> = failure.causes.iter().map(|cause| &cause[.."compose.yaml:2".len()]).collect();
    assert_eq!(lines, ["compose.yaml:2", "compose.yaml:3", "compose.yaml:4"]);
    assert_eq!(failure.hints, ["Did you mean `image`?", "Did you mean `ports`?", "Did you mean `volumes`?"]);
}

#[test]
fn the_command_prints_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = concat!(
        "services:\n  web: {image: x, volumes: ['data:/data'], networks: [front]}\n  built: {build: .}\n",
        "  debug: {image: d, profiles: [debug]}\nvolumes: {data: }\nnetworks: {front: }\n"
    );
    fs::write(folder.path().join("compose.yaml"), file).unwrap();
    let case = Case {
        name: String::new(),
        folder: folder.path().to_path_buf(),
        arguments: vec!["-p".to_owned(), "app".to_owned()],
        services: Vec::new(),
        environment: BTreeMap::new(),
    };
    for (flag, names) in [
        ("--services", "built\nweb\n"),
        ("--images", "app-built\nx\n"),
        ("--volumes", "data\n"),
        ("--networks", "default\nfront\n"),
        ("--profiles", "debug\n"),
    ] {
        let output = case.run(std::path::Path::new(env!("CARGO_BIN_EXE_streamify")), &["dev", "config", flag], &[]);
        assert_eq!(text(&output.stdout), names, "{flag}: {}", text(&output.stderr));
    }
}

//! The steps of GitHub's workflows, run as a runner runs them: what the YAML says is what is tried.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::demo::Stage;
use super::world::Ran;
use crate::support::ecs::Fate;
use crate::support::process::folder;

#[derive(Deserialize)]
struct Workflow {
    jobs: BTreeMap<String, Job>,
}

#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    name: Option<String>,
    run: Option<String>,
}

/// Every step with a shell in it: the workflow's file, the step's name, its script.
fn scripts() -> Vec<(String, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let workflow: Workflow = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for step in workflow.jobs.into_values().flat_map(|job| job.steps) {
            if let Some(run) = step.run {
                found.push((file.clone(), step.name.unwrap_or_default(), run));
            }
        }
    }
    found.sort();
    found
}

fn script(file: &str, name: &str) -> String {
    let all = scripts();
    let found = all.iter().find(|(of, step, _)| of == file && step == name);
    found.unwrap_or_else(|| panic!("{file} has no step {name}: {all:?}")).2.clone()
}

/// As a runner starts a step without a `shell` of its own.
fn bash(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-e", "-c", script]).current_dir(folder);
    command
}

#[test]
fn every_step_with_a_shell_is_tried_here() {
    let all: Vec<(String, String)> = scripts().into_iter().map(|(file, name, _)| (file, name)).collect();
    let known = [
        ("ci.yml", "Test"),
        ("deploy-to.yml", "Deploy"),
        ("deploy.yml", "Build the page and the binary"),
        ("release.yml", "Build the page and the binary"),
        ("release.yml", "Make the release"),
        ("release.yml", "Pack"),
        ("release.yml", "The tag is the version"),
    ];
    assert_eq!(all, known.map(|(file, name)| (file.to_owned(), name.to_owned())));
}

#[test]
fn the_deploy_step_rolls_out_what_was_built_and_ends_as_the_rollout_did() {
    let stage = Stage::new();
    stage.run("secrets import prod .env").ends_with(0);
    stage.run("secrets rotate prod --yes").ends_with(0);
    // The artifact, as the step before left it: not executable.
    let release = stage.file("target/release");
    fs::create_dir_all(&release).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_streamify"), release.join("streamify")).unwrap();
    let mut permissions = fs::metadata(release.join("streamify")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(release.join("streamify"), permissions).unwrap();
    let outputs = fs::read_to_string(stage.file("outputs.json")).unwrap();
    fs::remove_file(stage.file("outputs.json")).unwrap();
    let step = script("deploy-to.yml", "Deploy");
    let run = || {
        let mut command = bash(&step, stage.folder());
        command.env_clear().envs(stage.variables());
        command.env("CI", "true").env("GITHUB_ACTIONS", "true").env("GITHUB_ACTOR", "octo");
        command.env("GITHUB_OUTPUT", stage.file("output")).env("GITHUB_STEP_SUMMARY", stage.file("summary"));
        command.env("ENVIRONMENT", "prod").env("OUTPUTS", &outputs);
        Ran::of(&command.output().unwrap())
    };
    let read = |name: &str| fs::read_to_string(stage.file(name)).unwrap();

    let ran = run().ends_with(0);
    assert!(
        !ran.err.contains('\u{1b}') && ran.err.contains("backend: streamify-prod-backend:2 is live"),
        "{}",
        ran.err
    );
    assert!(read("output").contains("result=succeeded\n"), "{}", read("output"));
    assert!(read("summary").contains("✅ prod: deploy 1 succeeded"), "{}", read("summary"));

    // A rollout that is taken back is a step that failed, and the run's page says why.
    stage.change("another version");
    stage.destine(super::demo::BACKEND, Fate::Fails { code: 3, lines: vec!["panic: no such column".into()] });
    run().ends_with(5).says("panic: no such column");
    assert!(read("output").contains("result=rolled_back\n"), "{}", read("output"));
    assert!(read("summary").contains("panic: no such column"), "{}", read("summary"));
}

/// What they are made of runs before and around these tests, and building within a build would wait for itself: here it
/// is seen that the targets exist and what they come to.
#[test]
fn the_steps_that_call_make_call_what_there_is() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let dry = |script: &str| {
        let script = script.replace("make ", "make --dry-run ").replace("sudo --preserve-env=CI,HOME ", "");
        let ran = Ran::of(&bash(&script, &root).env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output().unwrap());
        ran.ends_with(0).out
    };
    let build = dry(&script("deploy.yml", "Build the page and the binary"));
    assert!(build.contains("scripts/page.sh") && build.contains("cargo build --release"), "{build}");
    assert_eq!(dry(&script("release.yml", "Build the page and the binary")), build);
    let test = dry(&script("ci.yml", "Test"));
    for part in ["cargo clippy", "cargo deny", "cargo test --workspace", "tests/e2e/run.sh", "tests/fuzz/run.sh"] {
        assert!(test.contains(part), "{part} in {test}");
    }
}

#[test]
fn a_tag_is_packed_and_published_whole() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let run = |step: &str, tag: &str| {
        let mut command = bash(&script("release.yml", step), folder.path());
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        command.env("GITHUB_REF_NAME", tag).env("TARGET", "linux-x86_64").env("REPOSITORY", "example/streamify");
        Ran::of(&command.env("PATH", path).output().unwrap())
    };
    fs::create_dir_all(at("target/release")).unwrap();
    fs::write(at("target/release/streamify"), "the program").unwrap();
    for name in ["LICENSE", "README.md", "CHANGELOG.md"] {
        fs::write(at(name), name).unwrap();
    }
    fs::write(at("Cargo.toml"), "[workspace.package]\nversion = \"1.2.3\"\n").unwrap();
    let made = bash(
        "git init -q && git add Cargo.toml && git -c user.name=a -c user.email=a@example.com commit -qm first",
        folder.path(),
    )
    .status();
    assert!(made.unwrap().success());

    run("The tag is the version", "v1.2.3").ends_with(0);
    run("The tag is the version", "v1.2.4").ends_with(1).says("the tag is v1.2.4, the version 1.2.3");

    let archive = at("streamify-v1.2.3-linux-x86_64.tar.gz");
    let packed = || {
        run("Pack", "v1.2.3").ends_with(0);
        fs::remove_dir_all(at("streamify-v1.2.3-linux-x86_64")).unwrap();
        fs::read(&archive).unwrap()
    };
    assert_eq!(packed(), packed(), "the same input is the same archive");
    let listed = Command::new("tar").arg("-tf").arg(&archive).output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap().replace("streamify-v1.2.3-linux-x86_64/", "");
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["CHANGELOG.md", "LICENSE", "README.md", "streamify"]);

    // GitHub's own program can't be had without GitHub: what it is told is kept.
    fs::write(at("gh"), "#!/bin/sh\necho \"$*\" >>told\n").unwrap();
    fs::set_permissions(at("gh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    run("Make the release", "v1.2.3").ends_with(0);
    let told = fs::read_to_string(at("told")).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert!(told[0].starts_with("release create v1.2.3") && told[0].contains("--draft"), "{told:?}");
    assert!(told[0].contains("./streamify-v1.2.3-linux-x86_64.tar.gz.sha256"), "{told:?}");
    assert!(told[1].starts_with("release edit v1.2.3") && told[1].contains("--draft=false"), "{told:?}");
    // What was damaged on the way is not published.
    fs::write(&archive, "other bytes").unwrap();
    run("Make the release", "v1.2.3").ends_with(1);
    assert_eq!(fs::read_to_string(at("told")).unwrap().lines().count(), 2);
}

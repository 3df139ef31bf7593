//! What is built, and that it is the same again.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::support::{Project, Registry, SHOP, err, text};

#[test]
fn the_same_files_are_the_same_image_in_any_folder_and_at_any_time() {
    let (first, second) = (Project::new(SHOP), Project::new(SHOP));
    assert_eq!(first.build(), second.build());
    // Built from nothing, with other times.
    fs::remove_dir_all(first.layout()).unwrap();
    let old = fs::File::options().append(true).open(first.path().join("busybox")).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    let digest = first.build();
    assert_eq!(digest, second.build());
    let words = ["build", "shop", "--output", "json"];
    let dated = first.command(&words).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
    let dated: Value = serde_json::from_slice(&dated.stdout).unwrap();
    assert_ne!(text(&dated[0]["digest"]), digest);
    assert_eq!(first.ok(&["inspect", "shop"])["platforms"][0]["created"], "2023-11-14T22:13:20Z");
    // The layers hold no time: they are found again.
    let layers = dated[0]["platforms"][0]["layers"].as_array().unwrap();
    assert!(layers.iter().all(|layer| layer["cached"] == true), "{layers:?}");
}

#[test]
fn only_what_changed_is_packed_again() {
    let project = Project::new(SHOP);
    project.build();
    let cached = |built: &Value| -> Vec<bool> {
        let layers = built[0]["platforms"][0]["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["cached"].as_bool().unwrap()).collect()
    };
    assert_eq!(cached(&project.ok(&["build", "shop"])), [true, true]);
    // Touched, but the same.
    fs::copy("/bin/busybox", project.path().join("busybox")).unwrap();
    assert_eq!(cached(&project.ok(&["build", "shop"])), [true, true]);
    project.change(1, 1000);
    assert_eq!(cached(&project.ok(&["build", "shop"])), [true, false]);
    // Changed without another size, right after it was read; a file just written is noted like any other.
    let digest = project.build();
    let notes = fs::read_to_string(project.layout().join("streamify.json")).unwrap();
    assert!(!notes.contains("\"stamp\":null"), "{notes}");
    project.change(2, 1000);
    assert_ne!(project.build(), digest);
    // Blobs of the images before are gone.
    let blobs = fs::read_dir(project.layout().join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, 2 + 2 + 3, "two layers, config and manifest, and the list of contents");
}

#[test]
fn an_image_says_where_it_comes_from_and_runs_as_nobody() {
    let project = Project::new(SHOP);
    let git = |words: &[&str]| {
        let mut command = std::process::Command::new("git");
        let given = [("GIT_AUTHOR_DATE", "1700000000 +0000"), ("GIT_COMMITTER_DATE", "1700000000 +0000")];
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(words);
        let output = command.current_dir(project.path()).envs(given).output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["remote", "add", "origin", "https://me:topsecret@git.example.com/team/cinema.git"]);
    git(&["add", "streamify.yaml"]);
    git(&["commit", "-qm", "first"]);
    git(&["tag", "v1.2.0"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let built = project.ok(&["build", "shop"]);
    assert_eq!(text(&built[0]["tag"]), commit[..12]);
    let shown = project.ok(&["inspect", "shop"]);
    let platform = &shown["platforms"][0];
    let label = |key: &str| text(&platform["labels"][format!("org.opencontainers.image.{key}")]);
    assert_eq!((label("revision"), label("version")), (commit, "1.2.0".to_owned()));
    assert_eq!(label("source"), "https://git.example.com/team/cinema");
    assert_eq!(label("created"), "2023-11-14T22:13:20Z");
    assert_eq!(platform["user"], "65532:65532");
    assert!(platform["sbom"].is_string());
    assert!(!shown.to_string().contains("topsecret"));

    let human = String::from_utf8(project.run(&["inspect", "shop"]).stdout).unwrap();
    assert!(human.contains("65532:65532") && human.contains("program /usr/local/bin/busybox"), "{human}");
    project.write("streamify.yaml", &format!("name: cinema\nimages:\n{SHOP}\n# changed\n"));
    assert!(text(&project.ok(&["build", "shop"])[0]["tag"]).starts_with(&format!("{}-", &label("revision")[..12])));
}

#[test]
fn a_folder_is_a_layer_for_each_of_its_folders() {
    let project = Project::new("  shop: {folder: root, entrypoint: [/srv/run]}\n");
    for name in ["root/srv/run", "root/etc/shop/conf", "root/README"] {
        project.write(name, name);
    }
    let layers = |built: &Value| -> Vec<(String, bool)> {
        let layers = built[0]["platforms"][0]["layers"].as_array().unwrap();
        layers.iter().map(|layer| (text(&layer["title"]), layer["cached"].as_bool().unwrap())).collect()
    };
    let titles = ["folder /etc", "folder /srv", "files of the root"].map(|title| (title.to_owned(), false));
    assert_eq!(layers(&project.ok(&["build", "shop"])), titles);
    project.write("root/srv/run", "something else");
    let changed: Vec<bool> = layers(&project.ok(&["build", "shop"])).into_iter().map(|(_, cached)| cached).collect();
    assert_eq!(changed, [true, false, true]);
}

#[test]
fn several_platforms_are_one_index() {
    let project =
        Project::new("  shop: {binary: 'out/{arch}/shop', platforms: [linux/amd64, linux/arm64], base: scratch}\n");
    let program = fs::read("/bin/busybox").unwrap();
    // The same program, said to be for another processor (ELF header: machine 183 is AArch64).
    let mut other = program.clone();
    other[18..20].copy_from_slice(&183_u16.to_le_bytes());
    for (folder, bytes) in [("x86_64", &program), ("arm64", &other)] {
        fs::create_dir_all(project.path().join("out").join(folder)).unwrap();
        fs::write(project.path().join("out").join(folder).join("shop"), bytes).unwrap();
    }
    project.build();
    let shown = project.ok(&["inspect", "shop"]);
    let platforms: Vec<String> =
        shown["platforms"].as_array().unwrap().iter().map(|one| text(&one["platform"])).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let layer = |platform: usize, layer: usize| text(&shown["platforms"][platform]["layers"][layer]["digest"]);
    assert_eq!(layer(0, 0), layer(1, 0), "certificates and users are the same on every processor");
    assert_ne!(layer(0, 1), layer(1, 1));

    // A program for another platform than the one that is asked for.
    fs::write(project.path().join("out/arm64/shop"), &program).unwrap();
    let said = project.fails(2, &["build", "shop"]);
    assert!(said.contains("is a program for linux/amd64, not for linux/arm64"), "{said}");
}

#[test]
fn a_base_is_fetched_once_and_found_again_without_its_registry() {
    let registry = Registry::start();
    let base = Project::new("  shop: {folder: root, environment: {COLOUR: green}}\n");
    base.write("root/etc/base", "base");
    let pushed = base.push(&registry.host);
    let digest = text(&pushed["digest"]);

    let project =
        Project::new(&format!("  shop: {{binary: busybox, base: '{}/cinema/shop@{digest}'}}\n", registry.host));
    let built = project.build();
    let shown = project.ok(&["inspect", "shop"]);
    let platform = &shown["platforms"][0];
    assert_eq!(platform["layers"].as_array().unwrap().len(), 2);
    assert!(platform["environment"].as_array().unwrap().contains(&"COLOUR=green".into()));
    // The base's layer is mounted, not sent.
    let pushed = project.ok(&["push", "shop", "--registry", &registry.host, "--repository", "other/shop"]);
    assert_eq!(pushed[0]["blobs"]["mounted"], 1, "{pushed}");

    drop(registry);
    fs::remove_dir_all(project.layout()).unwrap();
    assert_eq!(project.build(), built);
    fs::remove_dir_all(project.path().join("cache")).unwrap();
    fs::remove_dir_all(project.layout()).unwrap();
    let said = project.fails(4, &["build", "shop"]);
    assert!(said.contains("can't reach the registry"), "{said}");
}

#[test]
fn a_killed_build_leaves_nothing_half_done() {
    let project = Project::new(SHOP);
    project.change(3, 40 << 20);
    let clean = Project::new(SHOP);
    clean.change(3, 40 << 20);
    let expected = clean.build();
    for milliseconds in [20, 60, 120, 250, 500] {
        let mut child = project.command(&["build", "shop", "--progress", "none"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(project.build(), expected);
    let names = |layout: std::path::PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(layout.join("blobs/sha256")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(project.layout()), names(clean.layout()));
    assert_eq!(fs::read_dir(project.layout().join("temporary")).unwrap().count(), 0);
}

#[test]
fn builds_at_once_wait_for_each_other() {
    let project = Project::new(SHOP);
    project.change(4, 10 << 20);
    let children: Vec<_> = (0..4)
        .map(|_| {
            project
                .command(&["build", "shop", "--output", "json"])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let digests: BTreeSet<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            text(&serde_json::from_slice::<Value>(&output.stdout).unwrap()[0]["digest"])
        })
        .collect();
    assert_eq!(digests.len(), 1);
}

#[test]
fn what_is_wrong_with_an_entry_is_said_in_words() {
    for (images, words) in [
        ("  shop: {binary: missing}\n", vec!["can't read the program", "Build it first"]),
        ("  shop: {binary: streamify.yaml}\n", vec!["no ELF file"]),
        ("  shop: {folder: missing}\n", vec!["there is no folder"]),
        ("  shop: {binary: busybox, base: 'debian:12'}\n", vec!["not named by its digest", "image inspect debian:12"]),
        ("  shop: {binary: busybox, user: nobody}\n", vec!["`nobody` can't be the user"]),
        ("  shop: {binary: busybox, platforms: [windows/amd64]}\n", vec!["can't be a platform"]),
    ] {
        let project = Project::new(images);
        let said = project.fails(2, &["build", "shop"]);
        assert!(words.iter().all(|word| said.contains(word)), "{images}{said}");
        assert!(said.contains("hint:"), "{said}");
    }
    let project = Project::new(SHOP);
    assert!(project.fails(2, &["build", "shpo"]).contains("has app, shop"));
    assert!(project.fails(1, &["inspect", "shop"]).contains("streamify image build shop"));
    assert!(project.fails(2, &["build", "shop", "--layout", "."]).contains("no image"));
}

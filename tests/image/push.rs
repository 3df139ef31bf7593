//! What is sent to a registry, and what is not.

use std::fs;

use super::support::{PASSWORD, Project, Proxy, Registry, SHOP, SHOP_IN_GZIP, count, crane, err, is_whole, text};

#[test]
fn what_was_pushed_is_whole_and_an_unchanged_push_only_asks() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new(SHOP_IN_GZIP);
    let first = project.push(&proxy.host);
    let seen = proxy.seen();
    assert_eq!((count(&seen, "PATCH"), first["blobs"]["uploaded"].as_u64()), (5, Some(5)), "{seen:#?}");
    let image = format!("{}/cinema/shop@{}", registry.host, text(&first["digest"]));
    is_whole(&image);
    let config: serde_json::Value = serde_json::from_str(&crane(&["config", "--insecure", &image])).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");

    let again = project.push(&proxy.host);
    let seen = proxy.seen();
    assert_eq!(again["unchanged"], true);
    assert_eq!(again["digest"], first["digest"]);
    assert_eq!((seen.len(), count(&seen, "HEAD")), (1, 1), "{seen:#?}");

    // Another tag of the same image is one manifest and nothing else.
    project.ok(&["push", "shop", "--registry", &proxy.host, "--tag", "1.2.0"]);
    let seen = proxy.seen();
    assert_eq!((count(&seen, "PUT"), count(&seen, "POST"), count(&seen, "PATCH")), (1, 0, 0), "{seen:#?}");
    assert!(crane(&["ls", "--insecure", &format!("{}/cinema/shop", registry.host)]).contains("1.2.0"));
}

#[test]
fn a_changed_program_sends_its_layer_alone() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new(SHOP);
    project.push(&proxy.host);
    proxy.seen();
    project.change(5, 1 << 20);
    let pushed = project.push(&proxy.host);
    let seen = proxy.seen();
    // The layer, and the documents that name it: the configuration and the list of contents.
    assert_eq!((count(&seen, "PATCH"), pushed["blobs"]["present"].as_u64()), (3, Some(2)), "{seen:#?}");
    let shown = project.ok(&["inspect", "shop"]);
    let layer = shown["platforms"][0]["layers"][1]["size"].as_u64().unwrap();
    let sent = pushed["blobs"]["bytes_sent"].as_u64().unwrap();
    assert!(sent >= layer && sent < layer + 16_000, "{sent} bytes for a layer of {layer}");
}

#[test]
fn blobs_of_another_repository_are_mounted() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new(SHOP);
    project.push(&proxy.host);
    proxy.seen();
    let words = ["push", "shop", "--registry", &proxy.host, "--repository", "elsewhere/shop"];
    let pushed = project.ok(&words);
    let seen = proxy.seen();
    assert_eq!((pushed[0]["blobs"]["mounted"].as_u64(), count(&seen, "PATCH")), (Some(5), 0), "{seen:#?}");
    // Where the other repository does not have it any more, it is sent.
    let other = Registry::start();
    let elsewhere = Proxy::to(&other.host);
    let name = |host: &str| format!("{}.json", host.replace(':', "_"));
    let memory = project.path().join("cache/streamify/images/pushed");
    fs::copy(memory.join(name(&proxy.host)), memory.join(name(&elsewhere.host))).unwrap();
    let pushed = project.ok(&["push", "shop", "--registry", &elsewhere.host, "--repository", "third/shop"]);
    assert_eq!(pushed[0]["blobs"]["uploaded"], 5);
}

#[test]
fn the_list_of_contents_refers_to_the_image() {
    let registry = Registry::start();
    let project = Project::new(SHOP);
    project.write("Cargo.lock", "[[package]]\nname = \"left-pad\"\nversion = \"1.0.0\"\n");
    let pushed = project.push(&registry.host);
    let repository = format!("{}/cinema/shop", registry.host);
    let shown = project.ok(&["inspect", &format!("{repository}@{}", text(&pushed["digest"]))]);
    let list = text(&shown["platforms"][0]["sbom"]);
    let manifest: serde_json::Value =
        serde_json::from_str(&crane(&["manifest", "--insecure", &format!("{repository}@{list}")])).unwrap();
    assert_eq!(manifest["subject"]["digest"], pushed["digest"]);
    let blob = format!("{repository}@{}", text(&manifest["layers"][0]["digest"]));
    let document: serde_json::Value = serde_json::from_str(&crane(&["blob", "--insecure", &blob])).unwrap();
    let names: Vec<_> = document["components"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
    assert!(
        names.contains(&"left-pad".to_owned()) && names.contains(&"/usr/local/bin/busybox".to_owned()),
        "{names:?}"
    );
}

#[test]
fn several_platforms_are_pushed_whole() {
    let registry = Registry::start();
    let project = Project::new("  shop: {folder: root, platforms: [linux/amd64, linux/arm64], compression: gzip}\n");
    project.write("root/srv/page", "hello");
    let pushed = project.push(&registry.host);
    assert_eq!(
        pushed["blobs"]["uploaded"],
        1 + 2 + 1 + 1,
        "a layer and a list of contents for both, two configurations, and `{{}}`"
    );
    is_whole(&text(&pushed["image"]));
    let shown = project.ok(&["inspect", &text(&pushed["image"])]);
    assert_eq!(shown["platforms"].as_array().unwrap().len(), 2);
    assert!(shown["platforms"][1]["sbom"].is_string());
}

#[test]
fn a_wrong_password_is_told_and_never_shown() {
    let registry = Registry::closed();
    let project = Project::new(SHOP);
    let words = ["push", "shop", "--registry", &registry.host];
    let said = project.fails(1, &words);
    assert!(said.contains("wants a login, and there is none") && said.contains("docker login"), "{said}");
    project.log_in(&registry.host, "wrong-password-x");
    let said = project.fails(1, &words);
    assert!(said.contains("refuses the login") && said.contains("docker login"), "{said}");
    assert!(!said.contains("wrong-password-x"), "{said}");
    project.log_in(&registry.host, PASSWORD);
    let output = project.command(&words).args(["--progress", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert!(!err(&output).contains(PASSWORD));
}

#[test]
fn nobody_home_has_its_own_exit_code() {
    let project = Project::new(SHOP);
    let said = project.fails(4, &["push", "shop", "--registry", "127.0.0.1:9"]);
    assert!(said.contains("can't reach the registry 127.0.0.1:9") && said.contains("hint:"), "{said}");
    let said = project.fails(2, &["push", "shop"]);
    assert!(said.contains("--registry"), "{said}");
    assert!(project.fails(2, &["push", "shop", "--registry", "127.0.0.1:9", "--tag", "a b"]).contains("`a b`"));
}

#[test]
fn the_registry_of_the_only_environment_is_pushed_to_after_a_look() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new("");
    let environments = format!("environments: {{staging: {{registry: {}/team}}}}\n", proxy.host);
    project.write("streamify.yaml", &format!("name: cinema\nimages:\n{SHOP}{environments}"));
    let foreseen = project.ok(&["push", "shop", "--dry-run"]);
    let seen = proxy.seen();
    assert_eq!(count(&seen, "HEAD"), seen.len(), "{seen:#?}");
    assert_eq!(foreseen[0]["blobs"]["uploaded"], 5);
    let pushed = project.ok(&["push", "shop"]);
    assert_eq!(pushed[0]["blobs"], foreseen[0]["blobs"]);
    assert!(text(&pushed[0]["image"]).starts_with(&format!("{}/team/cinema/shop@", proxy.host)), "{pushed}");
    // What was built before, whatever became of the program meanwhile.
    project.change(13, 10);
    assert_eq!(project.ok(&["push", "shop", "--no-build"])[0]["unchanged"], true);
    assert!(project.fails(2, &["push", "shop", "--environment", "prod"]).contains("staging"));
    let local = project.fails(2, &["push", "shop", "--environment", "local"]);
    assert!(local.contains("has no registry") && local.contains("--load"), "{local}");
}

#[test]
fn a_workflow_gets_its_outputs_and_a_summary() {
    let registry = Registry::start();
    let project = Project::new(SHOP);
    let (outputs, summary) = (project.path().join("outputs"), project.path().join("summary"));
    fs::write(&outputs, "before=1\n").unwrap();
    let mut command = project.command(&["push", "shop", "--registry", &registry.host]);
    let output = command.env("GITHUB_OUTPUT", &outputs).env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let digest = project.build();
    let text = fs::read_to_string(outputs).unwrap();
    assert_eq!(text, format!("before=1\nimage={}/cinema/shop@{digest}\ndigest={digest}\n", registry.host));
    assert!(fs::read_to_string(summary).unwrap().contains(&format!("| shop | pushed | `{}` |", &digest[7..19])));
}

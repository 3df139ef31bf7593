//! Networks that break and registries that are busy.

use super::support::{Fault, Project, Proxy, Registry, SHOP, SHOP_IN_GZIP, count, is_whole, text};

#[test]
fn a_connection_that_breaks_in_the_middle_is_no_end() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new(SHOP_IN_GZIP);
    project.change(6, 8 << 20);
    proxy.fail("PATCH", Fault::CutAfter(3 << 20));
    proxy.fail("PATCH", Fault::CutAfter(0));
    let pushed = project.push(&proxy.host);
    assert!(proxy.is_out_of_faults());
    let seen = proxy.seen();
    assert_eq!(count(&seen, "PATCH"), 5 + 2, "{seen:#?}");
    is_whole(&format!("{}/cinema/shop@{}", registry.host, text(&pushed["digest"])));
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new(SHOP_IN_GZIP);
    for method in ["HEAD", "POST", "PATCH", "PUT"] {
        proxy.fail(method, Fault::LoseAnswer);
    }
    let pushed = project.push(&proxy.host);
    assert!(proxy.is_out_of_faults());
    is_whole(&format!("{}/cinema/shop@{}", registry.host, text(&pushed["digest"])));
}

#[test]
fn a_busy_registry_is_given_time() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new(SHOP);
    for method in ["HEAD", "POST", "PATCH", "PUT", "PUT"] {
        proxy.fail(method, Fault::Busy);
    }
    let begun = std::time::Instant::now();
    project.push(&proxy.host);
    assert!(proxy.is_out_of_faults());
    assert!(begun.elapsed().as_secs_f64() >= 1.0, "it did not wait for the second that it was asked to");
}

#[test]
fn a_base_whose_download_breaks_is_fetched_again() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let base = Project::new("  shop: {folder: root}\n");
    std::fs::create_dir(base.path().join("root")).unwrap();
    base.change(11, 3 << 20);
    std::fs::rename(base.path().join("busybox"), base.path().join("root/tool")).unwrap();
    let digest = text(&base.push(&registry.host)["digest"]);
    let image = format!("  shop: {{binary: busybox, base: '{}/cinema/shop@{digest}'}}\n", proxy.host);
    let project = Project::new(&image);
    // The manifest and the configuration are shorter than that; the layer is not.
    for _ in 0..3 {
        proxy.fail("GET", Fault::CutAnswer(1 << 20));
    }
    project.build();
    assert!(proxy.is_out_of_faults());
    assert_eq!(count(&proxy.seen(), "GET"), 4);
}

#[test]
fn a_killed_push_is_finished_by_the_next_one() {
    let registry = Registry::start();
    let project = Project::new(SHOP_IN_GZIP);
    project.change(12, 12 << 20);
    project.build();
    for milliseconds in [30, 60, 100, 150, 220, 300] {
        let mut child =
            project.command(&["push", "shop", "--progress", "none", "--registry", &registry.host]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let image = text(&project.push(&registry.host)["image"]);
    is_whole(&image);
    assert!(project.ok(&["inspect", &image])["platforms"][0]["sbom"].is_string());
}

#[test]
fn a_push_that_hangs_can_be_interrupted() {
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let project = Project::new(SHOP);
    project.build();
    let host = silent.local_addr().unwrap().to_string();
    let mut child = project.command(&["push", "shop", "--progress", "none", "--registry", &host]).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn a_network_that_never_works_ends_in_words() {
    let registry = Registry::start();
    let proxy = Proxy::to(&registry.host);
    let project = Project::new("  shop: {folder: root}\n");
    project.write("root/srv/page", "hello");
    for _ in 0..30 {
        proxy.fail("PATCH", Fault::CutAfter(0));
    }
    let said = project.fails(4, &["push", "shop", "--registry", &proxy.host]);
    assert!(said.contains("can't send a blob to") && said.contains("3 tries"), "{said}");
    // What is given up leaves no tag behind.
    assert!(
        project.fails(1, &["inspect", &format!("{}/cinema/shop:latest", registry.host)]).contains("there is no image")
    );
}

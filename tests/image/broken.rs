//! Networks that break and registries that are busy.

use super::support::{Fault, Project, Proxy, Registry, SHOP, SHOP_IN_GZIP, count, crane, text};

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
    crane(&[
        "validate",
        "--insecure",
        "--remote",
        &format!("{}/cinema/shop@{}", registry.host, text(&pushed["digest"])),
    ]);
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
    crane(&[
        "validate",
        "--insecure",
        "--remote",
        &format!("{}/cinema/shop@{}", registry.host, text(&pushed["digest"])),
    ]);
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

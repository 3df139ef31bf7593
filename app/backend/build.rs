//! Compiles the crate anew when the generated page has changed.

fn main() {
    let page = std::path::Path::new("../frontend/dist");
    // Cargo takes a missing folder for one that has changed, and would build at every call. An empty one is the same
    // to the page server, and is not committed.
    let _ = std::fs::create_dir_all(page);
    println!("cargo::rerun-if-changed={}", page.display());
}

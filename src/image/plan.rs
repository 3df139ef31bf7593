//! What an image is made of, from its entry in `streamify.yaml`: for each platform its layers and how it runs.

use std::path::{Path, PathBuf};

use super::layer::{self, Content, Layer};
use super::oci::{Platform, Run};
use super::program::Program;
use super::reference::Reference;
use super::{Order, skeleton};
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::settings::{APP_IMAGE, Image};

/// One platform of an image. Nothing is read yet but the headers of programs and the names of files.
#[derive(Debug)]
pub(super) struct Plan {
    pub platform: Platform,
    /// Lowest first: what changes least is below.
    pub layers: Vec<Layer>,
    /// The text of the `Cargo.lock` that the program was built with.
    pub crates: Option<String>,
}

/// The base that the image names, checked.
///
/// # Errors
/// It is not named by digest.
pub(super) fn base(order: &Order) -> Result<Option<Reference>> {
    let Some(text) = order.image.base.as_deref().filter(|text| *text != "scratch") else { return Ok(None) };
    let reference = Reference::parse(text)?;
    if reference.digest.is_some() {
        return Ok(Some(reference));
    }
    Err(Failure::usage(format!("the base of the image `{}` is not named by its digest: {text}", order.name))
        .cause("a tag may mean another image tomorrow, and nobody would see it in a diff")
        .hint(format!("Look its digest up: streamify image inspect {text}"))
        .hint(format!("And write it as {}@sha256:…", reference.name())))
}

/// The user that the image runs as.
///
/// # Errors
/// It is no number: names mean nothing without the image's own list of them.
pub(super) fn user(image: &Image, report: &dyn Report) -> Result<String> {
    let Some(user) = &image.user else { return Ok(skeleton::USER.to_owned()) };
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    if !user.splitn(2, ':').all(is_number) {
        return Err(Failure::usage(format!("`{user}` can't be the user of an image")).hint(format!(
            "Give numbers, as in `user: \"{}\"`; the quotes keep YAML from reading a time.",
            skeleton::USER
        )));
    }
    if user.split(':').next() == Some("0") {
        report.warning("the image runs as root: whoever breaks into the program owns the container");
    }
    Ok(user.clone())
}

/// Every platform's layers.
///
/// # Errors
/// What the entry names is not there, or is for another platform.
pub(super) fn platforms(order: &Order, has_base: bool, report: &dyn Report) -> Result<Vec<Plan>> {
    let image = &order.image;
    let mut wanted = Vec::new();
    for text in &image.platforms {
        let platform = Platform::parse(text).filter(|platform| platform.os == "linux").ok_or_else(|| {
            Failure::usage(format!("`{text}` can't be a platform of the image `{}`", order.name))
                .hint("Write it as linux/amd64 or linux/arm64.")
        })?;
        if wanted.contains(&platform) {
            return Err(Failure::usage(format!("the image `{}` names the platform {text} twice", order.name)));
        }
        wanted.push(platform);
    }
    if let Some(folder) = &image.folder {
        let layers = layer::of_folder(&order.directory.join(folder))?;
        if wanted.is_empty() {
            wanted.push(Platform::linux(native()));
        }
        let plan = |platform| Plan { platform, layers: layers.clone(), crates: None };
        return Ok(wanted.into_iter().map(plan).collect());
    }
    let user = user(image, report)?;
    if wanted.is_empty() {
        let program = find(order, native())?;
        return Ok(vec![of_program(order, &program, has_base, &user, report)?]);
    }
    let mut plans = Vec::new();
    for platform in wanted {
        let program = find(order, &platform.architecture)?;
        if !program.platform.fits(&platform) {
            let what = format!("{} is a program for {}, not for {platform}", program.path.display(), program.platform);
            return Err(Failure::usage(what).hint(
                "For several platforms write {arch} where the path is different: \
                 binary: target/{arch}-unknown-linux-musl/release/app",
            ));
        }
        plans.push(of_program(order, &program, has_base, &user, report)?);
    }
    Ok(plans)
}

fn of_program(order: &Order, program: &Program, has_base: bool, user: &str, report: &dyn Report) -> Result<Plan> {
    let mut layers = Vec::new();
    if !has_base {
        let libraries = program.libraries()?;
        if !libraries.is_empty() {
            let mut layer = Layer::new("the C library and others of this machine");
            for (path, source) in libraries {
                layer.add(path, 0o755, Content::File(source));
            }
            layers.push(layer);
        }
        layers.push(skeleton::layer(user, report));
    }
    let path = path_in_image(order);
    let mut layer = Layer::new(format!("program {}", path.display()));
    layer.add(&path, 0o755, Content::File(program.path.clone()));
    layers.push(layer);
    let crates = match order.image.binary {
        None => Some(super::sbom::OWN_CRATES.to_owned()),
        Some(_) => std::fs::read_to_string(order.directory.join("Cargo.lock")).ok(),
    };
    Ok(Plan { platform: program.platform.clone(), layers, crates })
}

/// Where the program stands in the image.
fn path_in_image(order: &Order) -> PathBuf {
    let name = order.image.binary.as_deref().and_then(Path::file_name);
    Path::new("/usr/local/bin").join(name.unwrap_or("streamify".as_ref()))
}

/// The program for a processor: `{arch}` in its path is the processor's name in Rust's words or in Go's.
fn find(order: &Order, architecture: &str) -> Result<Program> {
    let Some(binary) = &order.image.binary else {
        return Program::read(&order.program).map_err(|failure| {
            failure.hint("The image `app` is this program; with `images.app.binary` it is another one.")
        });
    };
    let text = binary.to_string_lossy();
    let rust = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "riscv64" => "riscv64gc",
        "ppc64le" => "powerpc64le",
        other => other,
    };
    let candidates = [rust, architecture].map(|name| order.directory.join(text.replace("{arch}", name)));
    Program::read(candidates.iter().find(|path| path.exists()).unwrap_or(&candidates[0]))
}

/// The platform of an entry that names none: the program's own. None: whatever the base is for.
pub(super) fn expected(order: &Order) -> Option<Platform> {
    if order.image.folder.is_some() {
        return Some(Platform::linux(native()));
    }
    find(order, native()).ok().map(|program| program.platform)
}

/// This machine's processor, in Go's words.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// How a container of the image starts: the base's way, changed by what the entry says.
pub(super) fn run(order: &Order, base: Option<Run>, user: String) -> Run {
    let image = &order.image;
    let mut run = base.unwrap_or_default();
    // What a base says of itself is not true of the image.
    run.labels.retain(|name, _| !name.starts_with("org.opencontainers.image."));
    run.user = user;
    let is_app = order.name == APP_IMAGE && image.binary.is_none() && image.folder.is_none();
    let own = image.folder.is_none().then(|| vec![path_in_image(order).display().to_string()]);
    if let Some(entrypoint) = image.entrypoint.clone().or(own) {
        run.entrypoint = entrypoint;
        // The base's arguments are for the base's program.
        run.cmd.clear();
    }
    if let Some(command) = image.command.clone().or_else(|| is_app.then(|| vec!["serve".to_owned()])) {
        run.cmd = command;
    }
    if let Some(folder) = &image.working_directory {
        run.working_dir.clone_from(folder);
    } else if run.working_dir.is_empty() {
        "/".clone_into(&mut run.working_dir);
    }
    if run.env.is_empty() {
        run.env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    }
    for (name, value) in &image.environment {
        run.env.retain(|line| line.split('=').next() != Some(name.as_str()));
        run.env.push(format!("{name}={value}"));
    }
    let ports = if is_app && image.ports.is_empty() { &[3000, 3001] } else { image.ports.as_slice() };
    run.exposed_ports.extend(ports.iter().map(|port| (format!("{port}/tcp"), serde_json::json!({}))));
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Recorder;
    use crate::settings::Environment;

    fn order(image: Image) -> Order {
        Order {
            name: "shop".into(),
            image,
            directory: "/nowhere".into(),
            layout: "/nowhere/layout".into(),
            program: std::env::current_exe().unwrap(),
            environment: Environment::default(),
        }
    }

    #[test]
    fn a_base_has_a_digest() {
        let with = |text: &str| base(&order(Image { base: Some(text.into()), ..Image::default() }));
        assert!(with("debian:12").unwrap_err().hints[1].contains("debian@sha256:"));
        assert_eq!(with("scratch").unwrap(), None);
    }

    #[test]
    fn a_command_of_the_base_does_not_outlive_its_entrypoint() {
        let base = Run {
            entrypoint: vec!["/base".into()],
            cmd: vec!["--base".into()],
            env: vec!["PATH=/bin".into(), "A=1".into()],
            labels: [("org.opencontainers.image.version".into(), "9".into()), ("team".into(), "a".into())].into(),
            ..Run::default()
        };
        let image = Image {
            binary: Some("out/shop".into()),
            environment: [("A".into(), "2".into())].into(),
            ports: vec![80],
            ..Image::default()
        };
        let run = run(&order(image), Some(base.clone()), "1:1".into());
        assert_eq!((run.entrypoint, run.cmd.len()), (vec!["/usr/local/bin/shop".to_owned()], 0));
        assert_eq!(run.env, ["PATH=/bin", "A=2"]);
        assert_eq!(run.labels.keys().collect::<Vec<_>>(), ["team"]);
        let folder = Image { folder: Some("web".into()), ..Image::default() };
        assert_eq!(super::run(&order(folder), Some(base), "1:1".into()).cmd, ["--base"]);
    }

    #[test]
    fn users_are_numbers_and_root_is_warned_of() {
        let report = Recorder::default();
        let with = |text: &str| user(&Image { user: Some(text.into()), ..Image::default() }, &report);
        assert_eq!(with("1000:1000").unwrap(), "1000:1000");
        assert!(with("www-data").is_err());
        assert!(report.events().is_empty());
        assert!(with("0").is_ok() && report.events().len() == 1);
    }
}

//! Building and pushing an image beside Docker and beside crane: the same program into the same registry, in turns.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Result;
use crate::process::{Process, STREAMIFY, free_port, median, run, time};
use crate::report::{Line, Target, Unit};

/// How large the program is.
const SIZE: usize = 30_000_000;
/// How long a registry may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A registry, a daemon, and one folder for each way.
struct Ground {
    folder: TempDir,
    registry: String,
    docker_host: String,
    crane: String,
    _registry: Process,
}

pub fn measure(quick: bool) -> Result<Vec<Line>> {
    let ground = Ground::new()?;
    let rounds = if quick { 2 } else { 9 };
    let (mut changed, mut unchanged): ([Vec<f64>; 3], [Vec<f64>; 2]) = Default::default();
    // The first round makes what a team has already: layers below, the daemon's caches, the repository.
    for round in 0..=rounds {
        eprintln!("  round {round} of {rounds}");
        ground.change(round)?;
        let took = [ground.ours(round)?, ground.docker(round)?, ground.crane(round)?];
        let again = [ground.ours(round)?, ground.docker(round)?];
        if round > 0 {
            changed.iter_mut().zip(took).for_each(|(all, one)| all.push(one));
            unchanged.iter_mut().zip(again).for_each(|(all, one)| all.push(one));
        }
    }
    let [ours, docker, crane] = changed.each_ref().map(|all| median(all));
    let [ours_again, docker_again] = unchanged.each_ref().map(|all| median(all));
    let what = "30 MB program changed: build and push";
    Ok(vec![
        Line::new(what, Unit::Time, ours)
            .beside("docker build, docker push", docker)
            .target(Target::RatioAtMost(1.0 / 3.0)),
        Line::new(what, Unit::Time, ours).beside("gzip -1, crane append", crane).target(Target::RatioAtMost(0.7)),
        Line::new("unchanged: build and push", Unit::Time, ours_again)
            .beside("docker build, docker push", docker_again)
            .target(Target::RatioAtMost(0.25)),
    ])
}

impl Ground {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("streamify-figures-").tempdir_in("/var/tmp")?;
        eprintln!("  starting a Docker daemon and a registry");
        let docker_host =
            run(script("test-daemon.sh").arg("start").arg(folder.path().join("daemon")))?.trim().to_owned();
        let (process, registry) = start_registry(folder.path())?;
        eprintln!("  building crane, where it is not there");
        let crane = run(&mut script("crane-peer.sh"))?.trim().to_owned();
        let project = folder.path().join("project");
        fs::create_dir_all(&project)?;
        fs::write(project.join("streamify.yaml"), "name: figures\nimages:\n  shop: {binary: shop}\n")?;
        fs::write(project.join("Dockerfile"), "FROM scratch\nCOPY shop /usr/local/bin/shop\nUSER 65532:65532\n")?;
        fs::write(project.join(".dockerignore"), "*\n!shop\n")?;
        Ok(Self { folder, registry, docker_host, crane, _registry: process })
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A program as a build leaves it: real code, of which a little is another in every round.
    fn change(&self, round: usize) -> Result<()> {
        let mut program = fs::read("/bin/busybox")?;
        let code = fs::read(STREAMIFY)?;
        program.extend(code.iter().cycle().take(SIZE - program.len()));
        let start = SIZE / 2 + round * 4096;
        program[start..start + 4096].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(self.project().join("shop"), program)?;
        // What was written is not on its way to the disk any more while somebody is measured.
        run(&mut Command::new("sync"))?;
        Ok(())
    }

    fn ours(&self, round: usize) -> Result<f64> {
        let mut command = Command::new(STREAMIFY);
        command.args(["image", "push", "shop", "--registry", &self.registry, "--tag", &format!("r{round}")]);
        time(command.current_dir(self.project()).env("XDG_CACHE_HOME", self.folder.path().join("cache")))
    }

    fn docker(&self, round: usize) -> Result<f64> {
        let tag = format!("{}/docker/shop:r{round}", self.registry);
        let begun = Instant::now();
        for words in [vec!["build", "--quiet", "--tag", &tag, "."], vec!["push", "--quiet", &tag]] {
            let mut command = Command::new("docker");
            command.args(words).current_dir(self.project());
            command.env("DOCKER_HOST", &self.docker_host).env_remove("DOCKER_CONTEXT");
            run(&mut command)?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    fn crane(&self, round: usize) -> Result<f64> {
        let layer = self.folder.path().join("layer.tar.gz");
        let pack = format!("tar -C '{}' -c shop | gzip -1 >'{}'", self.project().display(), layer.display());
        let tag = format!("{}/crane/shop:r{round}", self.registry);
        let begun = Instant::now();
        run(Command::new("sh").args(["-c", &pack]))?;
        let mut command = Command::new(&self.crane);
        run(command.args(["append", "--insecure", "--new_layer"]).arg(&layer).args(["--new_tag", &tag]))?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

fn start_registry(folder: &Path) -> Result<(Process, String)> {
    let port = free_port()?;
    let config = folder.join("registry.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: '127.0.0.1:{port}'}}\n",
        folder.join("registry").display()
    );
    fs::write(&config, text)?;
    let process = Process::start(Command::new("docker-registry").arg("serve").arg(&config), &folder.join("log"))?;
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return Err("the registry does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((process, format!("127.0.0.1:{port}")))
}

impl Drop for Ground {
    fn drop(&mut self) {
        // With its containers; the folder goes with this value.
        if let Err(error) = run(script("test-daemon.sh").arg("stop").arg(self.folder.path().join("daemon"))) {
            eprintln!("the daemon in {} may still run: {error}", self.folder.path().display());
        }
    }
}

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name))
}

//! The commands' side of the stack: looks at what is there, starts the supervisor, asks it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::Serialize;

use super::control::{Request, ask};
use super::layout::{Layout, Secrets};
use super::plan::{Observed, Step, closure, plan};
use super::ports::{self, Wish};
use super::process::{Identity, end, memory, spawn_detached};
use super::state::{Phase, State, binary_written};
use super::{fetch, postgres};
use crate::failure::{Failure, Kind, OrFail, Result};
use crate::report::Report;
use crate::settings::{Secret, Service, Settings};

/// What others need of a running stack.
#[derive(Clone, Debug)]
pub struct Running {
    pub ports: BTreeMap<Service, u16>,
    /// As `KAFKA_BROKERS` has it.
    pub kafka_brokers: String,
    /// As `DATABASE_URL` has it.
    pub database_url: Secret,
}

/// The project's stack, where it runs; a door for commands that then need no flags.
pub fn running(settings: &Settings) -> Option<Running> {
    let layout = Layout::of(settings);
    let state = State::read(&layout).ok().filter(State::is_running)?;
    let port = |service: Service| state.ports.get(&service).copied().unwrap_or_else(|| service.default_port());
    let secrets = layout.data.join("secrets.json").is_file().then(|| Secrets::load_or_create(&layout).ok())??;
    Some(Running {
        kafka_brokers: format!("127.0.0.1:{}", port(Service::Kafka)),
        database_url: secrets.database_url(port(Service::Postgres)),
        ports: state.ports,
    })
}

/// What is wanted of `up`.
#[derive(Debug, Default)]
pub struct Choice {
    pub services: Vec<Service>,
    pub wishes: Vec<Wish>,
}

/// What `up` is going to do.
#[derive(Debug)]
pub struct Prospect {
    pub steps: Vec<Step>,
    ports: BTreeMap<Service, u16>,
}

/// A service, for `ps`.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub service: Service,
    pub state: Phase,
    pub pid: Option<i32>,
    pub port: u16,
    pub address: String,
    pub uptime_seconds: Option<i64>,
    pub restarts: u32,
    pub memory_bytes: Option<u64>,
    /// Where the backend's metrics are.
    pub metrics: Option<String>,
}

/// One project's stack.
pub struct Stack<'a> {
    settings: &'a Settings,
    layout: Layout,
}

impl<'a> Stack<'a> {
    pub fn of(settings: &'a Settings) -> Self {
        Self { settings, layout: Layout::of(settings) }
    }

    pub fn is_running(&self) -> Result<bool> {
        Ok(State::read(&self.layout)?.is_running())
    }

    /// Whether the program on disk is newer than the stack that runs.
    pub fn is_outdated(&self) -> Result<bool> {
        let state = State::read(&self.layout)?;
        Ok(state.is_running() && state.binary.is_some() && state.binary < binary_written())
    }

    /// The log file of a service.
    pub fn log(&self, source: &str) -> PathBuf {
        self.layout.log(source)
    }

    /// Looks, chooses ports and plans; touches nothing.
    pub fn prospect(&self, choice: &Choice) -> Result<Prospect> {
        let state = State::read(&self.layout)?;
        let services = closure(&choice.services);
        let mut phases = BTreeMap::new();
        let mut chosen = BTreeMap::new();
        let mut idle = Vec::new();
        for service in services {
            let status = state.services.get(&service).cloned().unwrap_or_default();
            let port = state.ports.get(&service).copied();
            let left = status.process.is_some_and(Identity::is_alive);
            let active = state.is_running() && status.phase.is_active();
            let Some(port) = port.filter(|_| left || active) else {
                phases.insert(service, if status.phase == Phase::Failed { Phase::Failed } else { Phase::Stopped });
                idle.push(service);
                continue;
            };
            let other = choice.wishes.iter().find_map(|wish| match wish {
                Wish::Exactly(of, other) if *of == service && *other != port => Some(*other),
                _ => None,
            });
            if let Some(other) = other {
                return Err(Failure::failed(format!("{service} runs on port {port}, not {other}"))
                    .hint("Stop the stack first: `streamify dev down`."));
            }
            // What a dead supervisor left is ended before its port is used again.
            phases.insert(service, if state.is_running() { status.phase } else { Phase::Stopped });
            chosen.insert(service, port);
        }
        chosen.extend(ports::choose(&idle, &choice.wishes, &state.ports, &self.settings.dev.ports)?);
        let environment = &self.settings.environment;
        let observed = Observed {
            phases,
            database_exists: self.layout.postgres().is_dir(),
            broker_exists: self.layout.kafka().join("data/meta.properties").is_file(),
            postgres_must_be_fetched: postgres::installed(environment).is_none()
                && !fetch::postgres_folder(environment).is_dir(),
            kafka_must_be_fetched: environment.get("KAFKA_HOME").is_none()
                && !fetch::kafka_folder(environment).is_dir(),
        };
        Ok(Prospect { steps: plan(&chosen, &observed), ports: chosen })
    }

    /// Carries the plan out; ends when everything is healthy. Says whether anything had to be done.
    pub async fn up(&self, prospect: Prospect, timeout: Duration, report: &dyn Report) -> Result<bool> {
        if !self.is_running()? {
            self.layout.create()?;
            self.recover().await?;
            self.start_supervisor().await?;
        }
        let request = Request::Up { ports: prospect.ports };
        let answer = async {
            match ask(&self.layout, &request, report).await {
                Err(failure) if self.has_gone(&failure).await? => {
                    self.recover().await?;
                    self.start_supervisor().await?;
                    ask(&self.layout, &request, report).await
                }
                other => other,
            }
        };
        let answer = tokio::time::timeout(timeout, answer).await;
        answer.map_err(|_| {
            Failure::timed_out(format!("the stack was not healthy after {} s; it goes on starting", timeout.as_secs()))
                .hint("`streamify dev ps` shows what is missing, `streamify dev logs` why.")
        })?
    }

    /// Whether a supervisor that did not hear us was one that had just been killed: for a moment it looks alive.
    async fn has_gone(&self, failure: &Failure) -> Result<bool> {
        let deadline = Instant::now() + Duration::from_secs(2);
        while failure.kind == Kind::Unreachable && Instant::now() < deadline {
            if !self.is_running()? {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(false)
    }

    async fn start_supervisor(&self) -> Result<()> {
        let program = std::env::current_exe().or_fail(|| "can't find this program's own file".into())?;
        let path = self.layout.log("supervisor");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .or_fail(|| format!("can't open {}", path.display()))?;
        let errors = log.try_clone().or_fail(|| format!("can't open {}", path.display()))?;
        let mut command = std::process::Command::new(program);
        command.args(["dev", "supervise", "--progress", "plain", "-C"]).arg(&self.settings.directory);
        if let Some(file) = &self.settings.file {
            command.arg("--config").arg(file);
        }
        command
            .env("STREAMIFY_DATA", &self.layout.data)
            .env("STREAMIFY_NAME", &self.settings.name)
            .current_dir(&self.settings.directory)
            .stdin(std::process::Stdio::null())
            .stdout(log)
            .stderr(errors);
        let mut child = spawn_detached(&mut command).or_fail(|| "can't start the supervisor".into())?;
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let state = State::read(&self.layout)?;
            if state.is_running() && tokio::net::UnixStream::connect(self.layout.socket()).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = child.try_wait() {
                // Two may have been started at once; then the other one owns the stack.
                tokio::time::sleep(Duration::from_millis(200)).await;
                if self.is_running()? {
                    return Ok(());
                }
                return Err(Failure::failed(format!("the supervisor ended with {status}"))
                    .cause(last_lines(&path))
                    .hint(format!("All of it is in {}.", path.display())));
            }
            if Instant::now() > deadline {
                return Err(Failure::timed_out("the supervisor does not answer").cause(last_lines(&path)));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends what a supervisor that was killed has left.
    async fn recover(&self) -> Result<()> {
        let lock =
            File::create(self.layout.lock()).or_fail(|| format!("can't open {}", self.layout.lock().display()))?;
        if lock.try_lock().is_err() {
            // Somebody else is starting it.
            return Ok(());
        }
        let mut state = State::read(&self.layout)?;
        for (service, status) in &mut state.services {
            if let Some(leader) = status.process.take() {
                let stop = if *service == Service::Postgres { Signal::SIGINT } else { Signal::SIGTERM };
                end(leader, stop, Duration::from_secs(10)).await;
            }
            status.phase = Phase::Stopped;
        }
        state.supervisor = None;
        if self.layout.data.is_dir() { state.write(&self.layout) } else { Ok(()) }
    }

    /// Stops everything; says whether anything ran.
    pub async fn down(&self, report: &dyn Report) -> Result<bool> {
        let state = State::read(&self.layout)?;
        if let Some(supervisor) = state.supervisor.filter(|supervisor| supervisor.is_alive()) {
            match ask(&self.layout, &Request::Down, report).await {
                Err(failure) if self.has_gone(&failure).await? => {}
                Err(failure) => return Err(failure),
                Ok(_) => {
                    while supervisor.is_alive() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    return Ok(true);
                }
            }
        }
        let left = state.services.values().any(|status| status.process.is_some_and(Identity::is_alive));
        if left {
            self.recover().await?;
        }
        Ok(left)
    }

    /// Deletes the data of a stack that does not run: database, broker, logs, secrets.
    pub fn delete(&self) -> Result<()> {
        let database = self.layout.postgres();
        // Only what the stack made; the data folder may be one that somebody chose.
        let mut paths =
            vec![database, self.layout.kafka(), self.layout.logs(), self.layout.state(), self.layout.lock()];
        paths.push(self.layout.data.join("secrets.json"));
        for path in paths {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::failed(format!("can't delete {}", path.display())).because(&error));
                }
                _ => {}
            }
        }
        if !self.layout.postgres().starts_with(&self.layout.data) {
            // The folder made for this project alone; one that isn't empty is left.
            let _ = self.layout.postgres().parent().map(fs::remove_dir);
        }
        Ok(())
    }

    /// Stops and starts services; all that run where none is named.
    pub async fn restart(&self, services: &[Service], report: &dyn Report) -> Result<()> {
        let state = State::read(&self.layout)?;
        if !state.is_running() {
            return Err(Failure::failed("the stack is not running").hint("Start it: `streamify dev up`."));
        }
        let services = if services.is_empty() { state.services.keys().copied().collect() } else { services.to_vec() };
        if let Some(unknown) = services.iter().find(|service| !state.services.contains_key(service)) {
            return Err(Failure::failed(format!("{unknown} is not part of the running stack"))
                .hint(format!("Start it: `streamify dev up {unknown}`.")));
        }
        ask(&self.layout, &Request::Restart { services }, report).await.map(drop)
    }

    /// Every service that was ever started, as it is now.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let state = State::read(&self.layout)?;
        let now = jiff::Timestamp::now();
        let entry = |(service, status): (&Service, &super::state::Status)| {
            let port = state.ports.get(service).copied().unwrap_or_else(|| service.default_port());
            let alive = status.process.filter(|process| process.is_alive());
            let phase = if state.is_running() { status.phase } else { Phase::Stopped };
            let address = match service {
                Service::Postgres | Service::Kafka => format!("127.0.0.1:{port}"),
                _ => format!("http://localhost:{port}"),
            };
            let uptime = alive.filter(|_| phase == Phase::Healthy).map(|_| now.duration_since(status.since).as_secs());
            Entry {
                service: *service,
                state: phase,
                pid: alive.map(|process| process.pid),
                port,
                address,
                uptime_seconds: uptime,
                restarts: status.restarts,
                memory_bytes: alive.map(|process| memory(process.pid)),
                metrics: state
                    .metrics_port
                    .filter(|_| *service == Service::Backend)
                    .map(|port| format!("http://127.0.0.1:{port}/metrics")),
            }
        };
        Ok(state.services.iter().map(entry).collect())
    }

    /// `psql` on the stack's database; the password goes by the environment.
    pub fn psql(&self, arguments: &[String]) -> Result<std::process::Command> {
        if running(self.settings).is_none() {
            return Err(Failure::failed("the stack is not running").hint("Start it: `streamify dev up`."));
        }
        let environment = &self.settings.environment;
        let of_server = postgres::installed(environment).map(|(folder, _)| folder.join("psql"));
        let program = of_server.filter(|path| path.is_file()).or_else(|| fetch::on_path(environment, "psql"));
        let program = program.ok_or_else(|| {
            Failure::failed("there is no psql on the PATH").hint("Install it: `apt-get install postgresql-client`.")
        })?;
        let mut command = std::process::Command::new(program);
        self.with_environment(&mut command)?;
        command.args(arguments);
        Ok(command)
    }

    /// Gives a command what it needs to reach the stack: libpq's variables, `DATABASE_URL`, `KAFKA_BROKERS`.
    pub fn with_environment(&self, command: &mut std::process::Command) -> Result<()> {
        let running = running(self.settings)
            .ok_or_else(|| Failure::failed("the stack is not running").hint("Start it: `streamify dev up`."))?;
        let secrets = Secrets::load_or_create(&self.layout)?;
        let port = running.ports.get(&Service::Postgres).copied().unwrap_or(5432).to_string();
        command
            .envs([("PGHOST", "127.0.0.1"), ("PGUSER", "streamify"), ("PGDATABASE", "streamify"), ("PGPORT", &port)])
            .env("PGPASSWORD", secrets.postgres_password().expose())
            .env("DATABASE_URL", running.database_url.expose())
            .env("KAFKA_BROKERS", &running.kafka_brokers);
        Ok(())
    }
}

fn last_lines(path: &std::path::Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

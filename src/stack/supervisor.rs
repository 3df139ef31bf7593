//! The process that owns the stack: starts services as soon as what they need is there, starts them again when
//! they die, writes their logs and answers the commands.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Child;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::{Reply, Request, send};
use super::layout::{Layout, Secrets};
use super::logs::Log;
use super::process::{Identity, Launch, signal_group};
use super::state::{Phase, State, Status, binary_written};
use super::{kafka, postgres};
use crate::failure::{Failure, OrFail, Result};
use crate::report::{Event, Report};
use crate::settings::{Service, Settings};

/// So many deaths in a row, each soon after the start, are a failure.
const ATTEMPTS: u32 = 5;
/// A service that lived so long had a good start.
const SETTLED: Duration = Duration::from_secs(20);
/// Between two questions whether a service is ready.
const POLL: Duration = Duration::from_millis(15);

pub struct Supervisor {
    settings: Settings,
    layout: Layout,
    secrets: Secrets,
    state: watch::Sender<State>,
    events: broadcast::Sender<Event>,
    keepers: Mutex<BTreeMap<Service, CancellationToken>>,
    tasks: TaskTracker,
    /// Whether this supervisor has brought the schema up to date.
    migrated: tokio::sync::Mutex<bool>,
    ending: CancellationToken,
}

impl Report for Supervisor {
    fn event(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}

/// Owns the stack until it is asked to end; returns at once where another one does.
pub async fn run(settings: Settings) -> Result<()> {
    let layout = Layout::of(&settings);
    layout.create()?;
    let lock = File::create(layout.lock()).or_fail(|| format!("can't open {}", layout.lock().display()))?;
    lock.try_lock().or_fail(|| "another supervisor owns this stack".into())?;
    let _ = std::fs::remove_file(layout.socket());
    let listener =
        UnixListener::bind(layout.socket()).or_fail(|| format!("can't listen at {}", layout.socket().display()))?;
    let mut state = State::read(&layout)?;
    state.supervisor = Identity::of(nix::unistd::getpid().as_raw());
    state.binary = binary_written();
    state.services.clear();
    state.write(&layout)?;
    let secrets = Secrets::load_or_create(&layout)?;
    let supervisor = Arc::new(Supervisor {
        settings,
        secrets,
        state: watch::Sender::new(state),
        events: broadcast::Sender::new(1024),
        keepers: Mutex::default(),
        tasks: TaskTracker::new(),
        migrated: tokio::sync::Mutex::new(false),
        ending: CancellationToken::new(),
        layout,
    });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .or_fail(|| "can't listen for signals".into())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let supervisor = Arc::clone(&supervisor);
                tokio::spawn(async move { supervisor.answer(stream).await });
            },
            _ = terminate.recv() => { supervisor.stop_all().await; break }
            () = supervisor.ending.cancelled() => break,
        }
    }
    let _ = std::fs::remove_file(supervisor.layout.socket());
    supervisor.change(|state| state.supervisor = None);
    Ok(())
}

impl Supervisor {
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
        if let Err(failure) = self.state.borrow().write(&self.layout) {
            self.warning(&failure.to_string());
        }
    }

    fn set(&self, service: Service, phase: Phase) {
        self.change(|state| {
            let status = state.services.entry(service).or_default();
            status.phase = phase;
            status.since = Timestamp::now();
            if !phase.is_active() {
                status.process = None;
            }
        });
    }

    fn phase(&self, service: Service) -> Phase {
        self.state.borrow().services.get(&service).map_or(Phase::Stopped, |status| status.phase)
    }

    fn port(&self, service: Service) -> u16 {
        self.state.borrow().ports.get(&service).copied().unwrap_or_else(|| service.default_port())
    }

    async fn answer(self: Arc<Self>, stream: UnixStream) {
        let (reading, mut writing) = stream.into_split();
        let line = BufReader::new(reading).lines().next_line().await;
        let Ok(Some(line)) = line else { return };
        let mut events = self.events.subscribe();
        let action = async {
            match serde_json::from_str(&line).or_fail(|| "the request can't be read".into())? {
                Request::Up { ports } => self.up(ports).await,
                Request::Restart { services } => self.restart(services).await,
                Request::Down => {
                    self.stop_all().await;
                    Ok(true)
                }
            }
        };
        let mut action = std::pin::pin!(action);
        let result = loop {
            tokio::select! {
                biased;
                Ok(event) = events.recv() => if send(&mut writing, &Reply::Event(event)).await.is_err() {
                    // Whoever asked went away; what was asked for goes on.
                    break action.await;
                },
                result = &mut action => break result,
            }
        };
        let last = match result {
            Ok(changed) => Reply::Done { changed },
            Err(failure) => Reply::Failed(failure),
        };
        let _ = send(&mut writing, &last).await;
        // Ends only after the answer is out.
        if self.tasks.is_closed() {
            self.ending.cancel();
        }
    }

    async fn up(self: &Arc<Self>, ports: BTreeMap<Service, u16>) -> Result<bool> {
        let idle: Vec<Service> = ports.keys().copied().filter(|service| !self.phase(*service).is_active()).collect();
        let busy = ports.keys().any(|service| self.phase(*service) != Phase::Healthy);
        for service in &idle {
            self.change(|state| {
                state.ports.insert(*service, ports[service]);
            });
        }
        for service in idle {
            self.start(service);
        }
        self.healthy(&ports.keys().copied().collect::<Vec<_>>()).await?;
        Ok(busy)
    }

    async fn restart(self: &Arc<Self>, services: Vec<Service>) -> Result<bool> {
        self.stop(&services).await;
        *self.migrated.lock().await = false;
        for service in &services {
            self.start(*service);
        }
        self.healthy(&services).await?;
        Ok(true)
    }

    fn start(self: &Arc<Self>, service: Service) {
        self.change(|state| {
            let status = Status { phase: Phase::Starting, since: Timestamp::now(), ..Status::default() };
            state.services.insert(service, status);
        });
        self.started(service.name(), "starting");
        let stop = CancellationToken::new();
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner).insert(service, stop.clone());
        let supervisor = Arc::clone(self);
        self.tasks.spawn(async move {
            match supervisor.keep(service, &stop).await {
                Ok(()) => supervisor.set(service, Phase::Stopped),
                Err(failure) => {
                    supervisor.failed(service.name(), &failure.to_string());
                    supervisor.change(|state| {
                        state.services.entry(service).or_default().why = Some(failure);
                    });
                    supervisor.set(service, Phase::Failed);
                }
            }
        });
    }

    /// Waits until all of them are healthy, or none of those that are not can become so.
    async fn healthy(&self, services: &[Service]) -> Result<()> {
        let mut states = self.state.subscribe();
        let found = |state: &State, service: &Service| state.services.get(service).cloned().unwrap_or_default();
        let settled = |state: &State| {
            services.iter().all(|service| !matches!(found(state, service).phase, Phase::Starting | Phase::Restarting))
        };
        let settled_state = states.wait_for(settled).await.or_fail(|| "the supervisor is ending".into())?.clone();
        for service in services {
            let service_now = found(&settled_state, service);
            if service_now.phase == Phase::Healthy {
                continue;
            }
            return Err(service_now.why.unwrap_or_else(|| Failure::failed(format!("{service} was stopped"))));
        }
        Ok(())
    }

    async fn stop(&self, services: &[Service]) {
        {
            let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
            services.iter().filter_map(|service| keepers.get(service)).for_each(CancellationToken::cancel);
        }
        let mut states = self.state.subscribe();
        let ended = |state: &State| {
            services.iter().all(|service| {
                let phase = state.services.get(service).map_or(Phase::Stopped, |status| status.phase);
                matches!(phase, Phase::Stopped | Phase::Failed)
            })
        };
        // The sender lives as long as this.
        let _ = states.wait_for(ended).await;
    }

    /// The app first, then what it stands on.
    async fn stop_all(&self) {
        self.stop(&[Service::Frontend, Service::Backend, Service::KafkaUi]).await;
        self.stop(&[Service::Kafka, Service::Postgres]).await;
        self.tasks.close();
    }

    /// Starts a service, and again when it dies, until it is told to stop or dies too often.
    async fn keep(self: &Arc<Self>, service: Service, stop: &CancellationToken) -> Result<()> {
        let log = Log::open(&self.layout.log(service.name()))?;
        let mut deaths = 0;
        loop {
            let began = Instant::now();
            let prepared = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                prepared = self.prepare(service) => prepared?,
            };
            let program = prepared.launch.program.display().to_string();
            let mut child = prepared.launch.spawn().or_fail(|| format!("can't start {program}"))?;
            let process = child.id().and_then(|pid| Identity::of(i32::try_from(pid).ok()?));
            self.change(|state| {
                let status = state.services.entry(service).or_default();
                (status.phase, status.process) = (Phase::Starting, process);
            });
            let pumps = pump(&mut child, &log);
            let died = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                status = child.wait() => Some(status),
                () = self.ready(service) => {
                    self.set(service, Phase::Healthy);
                    self.finished(service.name(), "healthy", began.elapsed());
                    if let Some(broker) = prepared.broker {
                        self.tasks.spawn(async move { broker.archive_classes().await });
                    }
                    tokio::select! {
                        () = stop.cancelled() => None,
                        status = child.wait() => Some(status),
                    }
                }
            };
            let group = process.map(|process| process.pid);
            let Some(status) = died else {
                self.set_stopping(service, process);
                end(&mut child, group, prepared.launch.stop).await;
                self.finished(service.name(), "stopped", Duration::ZERO);
                return Ok(());
            };
            // What a dead leader leaves of its group would hold the port or the data.
            if let Some(group) = group {
                signal_group(group, Signal::SIGKILL);
            }
            for pump in pumps {
                let _ = tokio::time::timeout(Duration::from_secs(1), pump).await;
            }
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            log.line(&format!("-- ended: {how}"));
            deaths = if began.elapsed() > SETTLED { 1 } else { deaths + 1 };
            if deaths >= ATTEMPTS {
                return Err(Failure::failed(format!("{service} ended {deaths} times in a row, last with {how}"))
                    .cause(log.tail().join("\n"))
                    .hint(format!("All of it: `streamify dev logs {service}`. Then `streamify dev up` tries again.")));
            }
            self.set(service, Phase::Restarting);
            self.change(|state| {
                let status = state.services.entry(service).or_default();
                status.restarts += 1;
                status.process = None;
            });
            self.doing(service.name(), &format!("ended with {how}; starting it again"));
            let pause = Duration::from_millis(100 << deaths.min(6));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn set_stopping(&self, service: Service, process: Option<Identity>) {
        self.change(|state| {
            let status = state.services.entry(service).or_default();
            // Until it has ended it belongs to what a later supervisor may have to clean up.
            (status.phase, status.process) = (Phase::Stopping, process);
        });
        self.doing(service.name(), "stopping");
    }

    async fn prepare(self: &Arc<Self>, service: Service) -> Result<Prepared> {
        let environment = &self.settings.environment;
        let port = self.port(service);
        let program = std::env::current_exe().or_fail(|| "can't find this program's own file".into())?;
        let own = || Launch::new(&program, &self.settings.directory).variable("STREAMIFY_LOG_FORMAT", "text");
        let address = format!("127.0.0.1:{port}");
        let kafka = format!("127.0.0.1:{}", self.port(Service::Kafka));
        let launch = match service {
            Service::Postgres => {
                let password = self.secrets.postgres_password();
                postgres::prepare(&self.layout, environment, port, &password, &**self).await?
            }
            Service::Kafka => {
                let prepared = kafka::prepare(&self.layout, environment, port, &**self).await?;
                let (launch, broker) = prepared.split();
                return Ok(Prepared { launch, broker: Some(broker) });
            }
            Service::Frontend => own()
                .arguments(["serve", "--page"])
                .variable("STREAMIFY_PAGE_LISTEN", address)
                .variable("STREAMIFY_API_BASE", format!("http://localhost:{}", self.port(Service::Backend))),
            Service::KafkaUi => own().arguments(["kafka", "ui", "--listen", &address]).variable("KAFKA_BROKERS", kafka),
            Service::Backend => {
                self.migrate(&own).await?;
                let metrics = super::ports::free()?;
                self.change(|state| state.metrics_port = Some(metrics));
                let page = self.port(Service::Frontend);
                own()
                    .arguments(["serve"])
                    .variable("DATABASE_URL", self.database_url())
                    .variable("KAFKA_BROKERS", kafka)
                    .variable("KAFKA_SECURITY", "plaintext")
                    .variable("JWT_KEYS", self.secrets.jwt_keys().expose())
                    .variable("STREAMIFY_LISTEN", address)
                    .variable("STREAMIFY_METRICS_LISTEN", format!("127.0.0.1:{metrics}"))
                    .variable("STREAMIFY_ALLOWED_ORIGINS", format!("http://localhost:{page},http://127.0.0.1:{page}"))
            }
        };
        Ok(Prepared { launch, broker: None })
    }

    fn database_url(&self) -> String {
        self.secrets.database_url(self.port(Service::Postgres)).expose().to_owned()
    }

    /// Brings the schema up to date, once, as soon as the database answers.
    async fn migrate(&self, own: &impl Fn() -> Launch) -> Result<()> {
        let mut states = self.state.subscribe();
        let database = |state: &State| state.services.get(&Service::Postgres).map(|status| status.phase);
        let settled = |state: &State| !matches!(database(state), Some(Phase::Starting | Phase::Restarting));
        let found = states.wait_for(settled).await.or_fail(|| "the supervisor is ending".into())?.clone();
        if database(&found) != Some(Phase::Healthy) {
            return Err(Failure::failed("backend needs the database, and postgres is not running"));
        }
        let mut migrated = self.migrated.lock().await;
        if *migrated {
            return Ok(());
        }
        let began = Instant::now();
        self.started("migrations", "bringing the schema up to date");
        let launch = own().arguments(["migrate", "run"]).variable("DATABASE_URL", self.database_url());
        let mut child = launch.spawn().or_fail(|| "can't start the migrations".into())?;
        let log = Log::open(&self.layout.log("migrations"))?;
        let pumps = pump(&mut child, &log);
        let exit = child.wait().await.or_fail(|| "can't run the migrations".into())?;
        for pump in pumps {
            let _ = pump.await;
        }
        if !exit.success() {
            self.failed("migrations", &exit.to_string());
            return Err(Failure::failed(format!("the migrations ended with {exit}")).cause(log.tail().join("\n")));
        }
        *migrated = true;
        self.finished("migrations", "done", began.elapsed());
        Ok(())
    }

    /// Returns as soon as the service answers.
    async fn ready(&self, service: Service) {
        let port = self.port(service);
        let password = self.secrets.postgres_password();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build();
        loop {
            let ready = match service {
                Service::Postgres => postgres::is_ready(port, &password).await,
                Service::Kafka => {
                    !super::ports::is_free(port)
                        && tokio::task::spawn_blocking(move || kafka::is_ready(port)).await.unwrap_or(false)
                }
                _ => {
                    let path = if service == Service::Backend { "ready" } else { "live" };
                    match &client {
                        Ok(client) => client
                            .get(format!("http://127.0.0.1:{port}/health/{path}"))
                            .send()
                            .await
                            .is_ok_and(|response| response.status().is_success()),
                        Err(_) => false,
                    }
                }
            };
            if ready {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

struct Prepared {
    launch: Launch,
    broker: Option<kafka::Archiver>,
}

fn pump(child: &mut Child, log: &Log) -> Vec<tokio::task::JoinHandle<()>> {
    let out = child.stdout.take().map(|stream| tokio::spawn(log.clone().pump(stream)));
    let err = child.stderr.take().map(|stream| tokio::spawn(log.clone().pump(stream)));
    out.into_iter().chain(err).collect()
}

/// Asks a child to end, and kills its group when it does not.
async fn end(child: &mut Child, group: Option<i32>, stop: Signal) {
    let Some(group) = group else {
        let _ = child.kill().await;
        return;
    };
    // To the leader alone: it knows the order in which its own processes end.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(group), stop);
    if tokio::time::timeout(Duration::from_secs(30), child.wait()).await.is_err() {
        signal_group(group, Signal::SIGKILL);
        let _ = child.wait().await;
    }
}

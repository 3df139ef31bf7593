//! One-off containers: `dev run`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard::models::{RestartPolicy, RestartPolicyNameEnum};

use super::apply::{Works, remove};
use super::attach::{self, Command};
use super::blueprint::blueprint;
use super::observe::look_up;
use super::plan::{Pull, Wishes};
use super::stack::Stack;
use super::tracker::Tracker;
use super::{images, labels};
use crate::failure::{Failure, Result};
use crate::report::Report;
use tokio_util::sync::CancellationToken;

/// What is wanted of a one-off container.
#[derive(Clone, Debug, Default)]
pub struct OneOff {
    pub service: String,
    /// The command, with its environment, user and folder; no words: the service's own.
    pub command: Command,
    pub entrypoint: Option<Vec<String>>,
    /// Remove it when it has ended.
    pub remove: bool,
    /// Publish the service's ports.
    pub with_ports: bool,
    pub name: Option<String>,
    pub detach: bool,
}

/// How a one-off container went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    Exited(i64),
    /// It goes on, under this name.
    Detached(String),
}

impl Stack<'_> {
    /// Runs one container of a service, apart from the service's own.
    pub async fn run(&self, wanted: &OneOff, report: &dyn Report, interrupt: &CancellationToken) -> Result<Ran> {
        let service = self.project.service(&wanted.service);
        let service = service.or_else(|| self.project.disabled_services.get(&wanted.service)).ok_or_else(|| {
            let known = self.project.services.keys().cloned().collect::<Vec<_>>().join(", ");
            Failure::usage(format!("there is no service `{}`", wanted.service)).hint(format!("There are: {known}."))
        })?;
        let reference = self.project.image(service);
        let references = [reference.clone()].into();
        let mut found = look_up(self.engine, &references).await?;
        if found.is_empty() {
            if service.build.is_some() {
                super::build::build(self.engine, self.project, service, self.environment, false, report).await?;
            } else {
                images::pull(self.engine, self.environment, &reference, &service.platform, report).await?;
            }
            found = look_up(self.engine, &references).await?;
        }
        let mut plan = blueprint(self.project, service, 1, self.engine.api)?;
        let random = uuid::Uuid::new_v4().simple().to_string();
        plan.name = wanted
            .name
            .clone()
            .unwrap_or_else(|| format!("{}-{}-run-{}", self.project.name, service.name, &random[..12]));
        let terminal = wanted.command.terminal.unwrap_or_else(crate::tty::is_present) && !wanted.detach;
        let body = &mut plan.body;
        if !wanted.command.words.is_empty() {
            body.cmd = Some(wanted.command.words.clone());
        }
        if let Some(entrypoint) = &wanted.entrypoint {
            body.entrypoint = Some(entrypoint.clone());
        }
        let names = |pair: &String| pair.split('=').next().unwrap_or_default().to_owned();
        let given: Vec<String> = wanted.command.environment.iter().map(names).collect();
        let env = body.env.get_or_insert_default();
        env.retain(|pair| !given.contains(&names(pair)));
        env.extend(wanted.command.environment.clone());
        body.user = wanted.command.user.clone().or(body.user.take());
        body.working_dir = wanted.command.directory.clone().or(body.working_dir.take());
        body.tty = Some(terminal);
        body.open_stdin = Some(wanted.command.input && !wanted.detach);
        body.stdin_once = body.open_stdin;
        body.attach_stdin = body.open_stdin;
        let all = body.labels.get_or_insert_default();
        all.insert(labels::ONE_OFF.into(), "True".into());
        all.insert("com.docker.compose.slug".into(), random.clone());
        all.remove(labels::FIELDS);
        let host = body.host_config.get_or_insert_default();
        host.restart_policy = Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None });
        if !wanted.with_ports {
            host.port_bindings = None;
        }
        for (_, endpoint) in &mut plan.endpoints {
            // The service's name stays with the service.
            endpoint.aliases = Some(vec![plan.name.clone()]);
        }
        self.make_room(service, report).await?;
        let tracker: Arc<Tracker> = Tracker::start(self.engine, &self.project.name, &[]);
        let mut works = Works::new(self.engine, self.project, tracker, report);
        works.images = found;
        let id = works.create(&plan, None).await?;
        if wanted.detach {
            let started = self.engine.docker.start_container(&id, None).await;
            super::engine::OrSay::or_say(started, || format!("can't start {}", plan.name))?;
            return Ok(Ran::Detached(plan.name));
        }
        let ended = attach::run(self.engine, &id, terminal, wanted.command.input, interrupt).await;
        if wanted.remove || ended.is_err() {
            remove(self.engine, &id, &plan.name, true).await?;
        }
        ended.map(Ran::Exited)
    }

    /// The networks and volumes that a one-off container needs, where nothing was brought up before.
    async fn make_room(&self, service: &crate::stack::compose::model::Service, report: &dyn Report) -> Result<()> {
        let mut only = self.project.clone();
        let mut service = service.clone();
        service.depends_on.clear();
        service.scale = Some(0);
        only.services = BTreeMap::from([(service.name.clone(), service.clone())]);
        let wishes = Wishes {
            services: vec![service.name.clone()],
            no_dependencies: true,
            pull: Pull::Never,
            ..Wishes::default()
        };
        let observed =
            super::observe::observe(self.engine, &self.project.name, &std::collections::BTreeSet::new()).await?;
        let mut plan = super::plan::plan(&only, &wishes, &observed, self.engine.api)?;
        plan.steps
            .retain(|step| matches!(step.subject, super::plan::Subject::Network(_) | super::plan::Subject::Volume(_)));
        let tracker = Tracker::start(self.engine, &self.project.name, &[]);
        Works::new(self.engine, &only, tracker, report).apply(&plan, &BTreeMap::new()).await
    }
}

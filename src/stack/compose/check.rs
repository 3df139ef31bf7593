//! Whether a project fits together: every name that is referred to is there, and nothing contradicts itself.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{MountKind, Project, Service, WatchAction};
use super::problem::Problem;
use super::tree::{Node, Place};

/// Everything that does not fit; `document` is what the project was read from, for the places.
pub(super) fn project(project: &Project, document: &Node) -> Vec<Problem> {
    let mut check = Check { project, document, problems: Vec::new() };
    for service in project.services.values() {
        check.image(service);
        check.references(service);
        check.dependencies(service);
        check.limits(service);
        check.replicas(service);
        check.mounts(service);
        check.texts(service);
    }
    check.jobs();
    check.secrets();
    check.container_names();
    check.circles();
    check.problems
}

struct Check<'a> {
    project: &'a Project,
    document: &'a Node,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// Where a path of keys stands, or the nearest of what it is in; a number is an index.
    fn place(&self, path: &[&str]) -> Place {
        let mut node = self.document;
        let mut place = &node.place;
        for key in path {
            let next = match key.parse::<usize>() {
                Ok(index) => node.as_list().and_then(|list| list.get(index)).map(|node| (node, &node.place)),
                Err(_) => node.as_map().and_then(|map| Some((map.get(key)?, map.key(key)?))),
            };
            let Some((below, at)) = next else { break };
            (node, place) = (below, at);
        }
        place.clone()
    }

    fn of_service(&self, service: &Service, path: &[&str]) -> Place {
        self.place(&[&["services", service.name.as_str()], path].concat())
    }

    fn say(&mut self, service: &Service, path: &[&str], message: String, hint: &str) {
        self.problems.push(Problem::new(&self.of_service(service, path), message).hint(hint));
    }

    fn image(&mut self, service: &Service) {
        let name = &service.name;
        let Some(build) = &service.build else {
            if service.image.is_empty() && service.provider.is_none() {
                let problem = Problem::new(
                    &self.of_service(service, &[]),
                    format!("the service `{name}` has no `image` and no `build`"),
                );
                self.problems.push(problem.hint("Name the image that it runs, or the folder that it is built from."));
            }
            return;
        };
        if !build.dockerfile.is_empty() && !build.dockerfile_inline.is_empty() {
            let message = format!("the build of `{name}` has both `dockerfile` and `dockerfile_inline`");
            self.say(service, &["build", "dockerfile_inline"], message, "Take out one of the two.");
        }
        for (context, target) in &build.additional_contexts {
            let Some(target) = target.strip_prefix("service:") else { continue };
            let path = ["build", "additional_contexts", context];
            match self.project.services.get(target).or_else(|| self.project.disabled_services.get(target)) {
                None => self.unknown(&self.of_service(service, &path), "service", target),
                Some(other) if other.build.is_none() => {
                    let message = format!("the service `{target}` is not built, so it can't be a context");
                    self.say(service, &path, message, "Give it a `build`, or use its image: `docker-image://IMAGE`.");
                }
                Some(_) => {}
            }
        }
        if !service.platform.is_empty() && !build.platforms.is_empty() && !build.platforms.contains(&service.platform) {
            let message = format!("`{name}` runs on {}, and its build has other platforms", service.platform);
            self.say(service, &["build", "platforms"], message, "Add it to `build.platforms`.");
        }
    }

    fn unknown(&mut self, place: &Place, kind: &str, name: &str) {
        let project = self.project;
        let names: Vec<&str> = match kind {
            "service" => project.services.keys().map(String::as_str).collect(),
            "network" => project.networks.keys().map(String::as_str).collect(),
            "volume" => project.volumes.keys().map(String::as_str).collect(),
            "config" => project.configs.keys().map(String::as_str).collect(),
            "secret" => project.secrets.keys().map(String::as_str).collect(),
            _ => project.models.keys().map(String::as_str).collect(),
        };
        let mut problem =
            Problem::new(place, format!("there is no {kind} `{name}`")).did_you_mean(name, names.iter().copied());
        if kind == "service"
            && let Some(service) = project.disabled_services.get(name)
        {
            problem.message =
                format!("the service `{name}` is not active: its profiles are {}", service.profiles.join(", "));
            problem.hint = service.profiles.first().map(|profile| format!("Add `--profile {profile}`."));
        } else if problem.hint.is_none() {
            problem.hint = Some(match kind {
                "service" => format!("The services are: {}.", names.join(", ")),
                _ => format!("Declare it at the top: `{kind}s: {{{name}: …}}`."),
            });
        }
        self.problems.push(problem);
    }

    fn references(&mut self, service: &Service) {
        let project = self.project;
        if !service.network_mode.is_empty() && !service.networks.is_empty() {
            let message = format!("`{}` has both `network_mode` and `networks`", service.name);
            self.say(service, &["network_mode"], message, "Take out one of the two.");
        }
        for name in service.networks.keys().filter(|name| !project.networks.contains_key(*name)) {
            self.unknown(&self.of_service(service, &["networks", name]), "network", name);
        }
        for (index, mount) in service.volumes.iter().enumerate() {
            if mount.r#type == MountKind::Volume
                && !mount.source.is_empty()
                && !project.volumes.contains_key(&mount.source)
            {
                let place = self.of_service(service, &["volumes", &index.to_string()]);
                self.unknown(&place, "volume", &mount.source);
            }
        }
        let build_secrets = service.build.iter().flat_map(|build| build.secrets.iter()).enumerate();
        for (index, secret) in build_secrets.filter(|(_, secret)| !project.secrets.contains_key(&secret.source)) {
            let place = self.of_service(service, &["build", "secrets", &index.to_string()]);
            self.unknown(&place, "secret", &secret.source);
        }
        for (index, config) in service.configs.iter().enumerate() {
            if !project.configs.contains_key(&config.source) {
                let place = self.of_service(service, &["configs", &index.to_string()]);
                self.unknown(&place, "config", &config.source);
            }
        }
        for (index, secret) in service.secrets.iter().enumerate() {
            if !project.secrets.contains_key(&secret.source) {
                let place = self.of_service(service, &["secrets", &index.to_string()]);
                self.unknown(&place, "secret", &secret.source);
            }
        }
        for name in service.models.keys().filter(|name| !project.models.contains_key(*name)) {
            self.unknown(&self.of_service(service, &["models", name]), "model", name);
        }
    }

    fn dependencies(&mut self, service: &Service) {
        let project = self.project;
        for (name, dependency) in &service.depends_on {
            let place = self.of_service(service, &["depends_on", name]);
            match project.services.get(name) {
                None if project.disabled_services.contains_key(name) && !dependency.required => {}
                None if project.jobs.contains_key(name) => {
                    let message = format!("`{}` can't depend on `{name}`, which is a job", service.name);
                    self.problems.push(Problem::new(&place, message).hint("Services depend on services."));
                }
                None => self.unknown(&place, "service", name),
                Some(_) => {}
            }
        }
    }

    fn limits(&mut self, service: &Service) {
        let Some(deploy) = &service.deploy else { return };
        let limits = deploy.resources.limits.as_ref();
        let reservations = deploy.resources.reservations.as_ref();
        let differs = |old: f64, new: Option<f64>| old != 0.0 && new.is_some_and(|new| (new - old).abs() > 1e-6);
        #[allow(clippy::cast_precision_loss, reason = "only compared with each other")]
        let pairs = [
            ("cpus", "limits.cpus", differs(service.cpus, limits.map(|limits| limits.cpus))),
            (
                "mem_limit",
                "limits.memory",
                differs(service.mem_limit.0 as f64, limits.map(|limits| limits.memory.0 as f64)),
            ),
            (
                "mem_reservation",
                "reservations.memory",
                differs(service.mem_reservation.0 as f64, reservations.map(|limits| limits.memory.0 as f64)),
            ),
            ("pids_limit", "limits.pids", differs(service.pids_limit as f64, limits.map(|limits| limits.pids as f64))),
        ];
        for (key, other, _) in pairs.into_iter().filter(|(.., differs)| *differs) {
            let message = format!("`{key}` and `deploy.resources.{other}` of `{}` differ", service.name);
            self.say(service, &[key], message, "Take out one of the two.");
        }
    }

    fn replicas(&mut self, service: &Service) {
        let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
        if let (Some(scale), Some(replicas)) = (service.scale, replicas)
            && scale != replicas
        {
            let message = format!("`scale` and `deploy.replicas` of `{}` differ", service.name);
            self.say(service, &["scale"], message, "Take out one of the two.");
        }
        let key: &[&str] = if service.scale.is_some() { &["scale"] } else { &["deploy", "replicas"] };
        if service.replicas() < 0 {
            let message = format!("`{}` can't have less than 0 containers", service.name);
            self.say(service, key, message, "Write 0 for none.");
        }
        if service.replicas() > 1 && !service.container_name.is_empty() {
            let message = format!(
                "`{}` has {} containers, and they can't all have the name `{}`",
                service.name,
                service.replicas(),
                service.container_name
            );
            let problem = Problem::new(&self.of_service(service, &["container_name"]), message);
            self.problems.push(problem.hint("Take out `container_name`, or the number of containers."));
        }
    }

    fn mounts(&mut self, service: &Service) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for (index, text) in service.tmpfs.iter().enumerate() {
            let target = text.split(':').next().unwrap_or(text);
            if !seen.insert(target) {
                let message = format!("`{target}` is mounted twice in `{}`", service.name);
                self.say(service, &["tmpfs", &index.to_string()], message, "Take out one of the two.");
            }
        }
        for (index, mount) in service.volumes.iter().enumerate() {
            if !seen.insert(&mount.target) {
                let message = format!("`{}` is mounted twice in `{}`", mount.target, service.name);
                self.say(service, &["volumes", &index.to_string()], message, "Take out one of the two.");
            }
        }
    }

    fn texts(&mut self, service: &Service) {
        if let Some(first) = service.healthcheck.as_ref().and_then(|check| check.test.first())
            && !matches!(first.as_str(), "CMD" | "CMD-SHELL" | "NONE")
        {
            let problem = Problem::new(
                &self.of_service(service, &["healthcheck", "test"]),
                format!("the health check of `{}` begins with `{first}`", service.name),
            );
            self.problems.push(problem.hint("Its list begins with \"CMD\", \"CMD-SHELL\" or \"NONE\"."));
        }
        for (index, rule) in service.develop.iter().flat_map(|develop| develop.watch.iter()).enumerate() {
            let needs_target = !matches!(rule.action, Some(WatchAction::Rebuild | WatchAction::Restart));
            if needs_target && rule.target.is_empty() {
                let path = ["develop", "watch", &index.to_string()];
                let message = format!("a watch rule of `{}` needs a `target`", service.name);
                self.say(service, &path, message, "Say where the files go in the container: `target: /app`.");
            }
        }
    }

    fn jobs(&mut self) {
        let project = self.project;
        for (name, job) in &project.jobs {
            if project.services.contains_key(name) || project.disabled_services.contains_key(name) {
                let message = format!("`{name}` is both a service and a job");
                self.problems.push(Problem::new(&self.place(&["jobs", name]), message).hint("Give one another name."));
            }
            for (other, dependency) in &job.container.depends_on {
                let known = project.jobs.contains_key(other) || project.services.contains_key(other);
                if !known && (dependency.required || !project.disabled_services.contains_key(other)) {
                    self.unknown(&self.place(&["jobs", name, "depends_on", other]), "service", other);
                }
            }
        }
    }

    fn secrets(&mut self) {
        for (name, secret) in &self.project.secrets {
            if !secret.external && secret.file.is_empty() && secret.environment.is_empty() {
                let message = format!("the secret `{name}` must have `file` or `environment`");
                let problem = Problem::new(&self.place(&["secrets", name]), message);
                self.problems.push(problem.hint("Write `file: ./secret.txt`, or `environment: NAME`."));
            }
        }
    }

    fn container_names(&mut self) {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for service in self.project.services.values().filter(|service| !service.container_name.is_empty()) {
            if let Some(owner) = owners.insert(&service.container_name, &service.name) {
                let message = format!(
                    "`{}` and `{owner}` both want the container name `{}`",
                    service.name, service.container_name
                );
                self.say(service, &["container_name"], message, "Give each a name of its own, or none.");
            }
        }
    }

    /// Services that wait for each other would wait for ever.
    fn circles(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Visit {
            Under,
            Done,
        }
        fn visit<'p>(
            project: &'p Project,
            name: &'p str,
            way: &mut Vec<&'p str>,
            visits: &mut BTreeMap<&'p str, Visit>,
        ) -> Option<Vec<&'p str>> {
            match visits.get(name) {
                Some(Visit::Done) => return None,
                Some(Visit::Under) => {
                    let start = way.iter().position(|step| *step == name).unwrap_or(0);
                    return Some(way[start..].iter().copied().chain([name]).collect());
                }
                None => {}
            }
            visits.insert(name, Visit::Under);
            way.push(name);
            let container = project.services.get(name).or_else(|| project.jobs.get(name).map(|job| &*job.container));
            let circle = container?.depends_on.keys().find_map(|next| {
                let known = project.services.contains_key(next) || project.jobs.contains_key(next);
                if known { visit(project, next, way, visits) } else { None }
            });
            way.pop();
            visits.insert(name, Visit::Done);
            circle
        }
        let mut visits = BTreeMap::new();
        for name in self.project.services.keys().chain(self.project.jobs.keys()) {
            if let Some(circle) = visit(self.project, name, &mut Vec::new(), &mut visits) {
                let place = self.place(&["services", circle[0], "depends_on", circle[1]]);
                let message = format!("services wait for each other in a circle: {}", circle.join(" → "));
                self.problems.push(Problem::new(&place, message).hint("Take out one of these dependencies."));
                return;
            }
        }
    }
}

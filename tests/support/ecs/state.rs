//! The world: a clock, services, revisions, and the answers to every operation.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use serde_json::{Value, json};

use super::Refusal;
use super::rollout::{Fate, Happened, Rollout};
use super::tasks::Task;

/// Seconds since 1970, faster than the real ones, and turned by tests.
pub struct Clock {
    began: Instant,
    base: f64,
    rate: f64,
}

impl Clock {
    pub fn now(&self) -> f64 {
        self.base + self.began.elapsed().as_secs_f64() * self.rate
    }

    pub fn advance(&mut self, seconds: f64) {
        self.base += seconds;
    }

    pub fn set_rate(&mut self, rate: f64) {
        (self.base, self.began, self.rate) = (self.now(), Instant::now(), rate);
    }
}

/// One service.
pub struct Service {
    pub name: String,
    pub task_definition: String,
    pub revision: String,
    pub desired: i64,
    pub configuration: Value,
    pub rollouts: Vec<Rollout>,
    pub events: VecDeque<Value>,
    pub exec: bool,
    /// The request that made it, where it was made by one: what of it is told again as it was said.
    pub made: Value,
    /// What the next rollouts are destined to; then they succeed.
    pub fates: VecDeque<Fate>,
}

pub struct State {
    pub clock: Clock,
    /// The cluster's name; there is one.
    pub cluster: String,
    pub services: BTreeMap<String, Service>,
    /// By family, the first is revision 1.
    /// Deleted ones, as they are still told for a while.
    pub deleted: BTreeMap<String, Value>,
    pub definitions: BTreeMap<String, Vec<Value>>,
    pub tasks: BTreeMap<String, Task>,
    /// What the next one-off tasks are destined to: exit code and lines; then they end well.
    pub one_offs: VecDeque<(i64, Vec<String>)>,
    /// Log group, stream, lines: on their way to the emulator.
    pub printed: Vec<(String, String, Vec<String>)>,
    /// Every operation that was called.
    pub calls: Vec<String>,
    /// What was not as the model has it.
    pub wrong: Vec<String>,
    /// By operation, how many calls are still refused.
    pub throttled: BTreeMap<String, u32>,
    /// Credentials are expired after so many calls.
    pub expired_after: Option<usize>,
    /// The operation whose answers don't come.
    pub held: Option<String>,
    /// By ARN, what it was tagged with.
    pub(super) tags: BTreeMap<String, Value>,
    /// Where exec's data channel is.
    pub channel: Option<String>,
    pub(super) count: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            clock: Clock { began: Instant::now(), base: 1_800_000_000.0, rate: 12.0 },
            cluster: "cinema-prod".to_owned(),
            services: BTreeMap::new(),
            deleted: BTreeMap::new(),
            definitions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            one_offs: VecDeque::new(),
            printed: Vec::new(),
            calls: Vec::new(),
            wrong: Vec::new(),
            throttled: BTreeMap::new(),
            expired_after: None,
            held: None,
            tags: BTreeMap::new(),
            channel: None,
            count: 100,
        }
    }
}

pub fn arn(what: &str) -> String {
    format!("arn:aws:ecs:{}:{}:{what}", super::super::aws::REGION, super::super::aws::ACCOUNT)
}

fn text<'a>(request: &'a Value, name: &str) -> &'a str {
    request[name].as_str().unwrap_or_default()
}

fn refused(kind: &'static str, message: impl Into<String>) -> Refusal {
    Refusal(kind, message.into())
}

/// The name at the end of an ARN, or the name.
fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

impl State {
    /// A service as Terraform makes it: with a shell of a task definition.
    pub fn add_service(&mut self, name: &str, desired: i64) {
        let definition = json!({
            "family": name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "containerDefinitions": [{"name": "shell", "image": "scratch"}],
        });
        let task_definition = self.register(&definition);
        let revision = self.new_id(&format!("service-revision/{}/{name}", self.cluster));
        let configuration = json!({"maximumPercent": 200, "minimumHealthyPercent": 100});
        self.services.insert(
            name.to_owned(),
            Service {
                name: name.to_owned(),
                task_definition,
                revision,
                desired,
                configuration,
                rollouts: Vec::new(),
                events: VecDeque::new(),
                exec: false,
                made: Value::Null,
                fates: VecDeque::new(),
            },
        );
    }

    pub(super) fn new_id(&mut self, kind: &str) -> String {
        self.count += 1;
        arn(&format!("{kind}/{:019}", 4_980_306_466_373_000_000 + self.count))
    }

    pub(super) fn register(&mut self, request: &Value) -> String {
        let family = text(request, "family").to_owned();
        let number = self.definitions.get(&family).map_or(0, Vec::len) + 1;
        let mut definition = request.clone();
        let arn = arn(&format!("task-definition/{family}:{number}"));
        if let Some(tags) = definition.as_object_mut().unwrap().remove("tags") {
            self.tags.insert(arn.clone(), tags);
        }
        definition["taskDefinitionArn"] = arn.clone().into();
        definition["revision"] = number.into();
        definition["status"] = "ACTIVE".into();
        // What ECS adds by itself.
        definition["volumes"] = json!([]);
        definition["placementConstraints"] = json!([]);
        definition["compatibilities"] = json!(["EC2", "FARGATE"]);
        definition["registeredAt"] = 1_800_000_000.5.into();
        for container in definition["containerDefinitions"].as_array_mut().unwrap() {
            for (name, value) in [("cpu", json!(0)), ("mountPoints", json!([])), ("volumesFrom", json!([]))] {
                container[name] = value;
            }
            for port in container.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten() {
                port["hostPort"] = port["containerPort"].clone();
            }
            if let Some(environment) = container.get_mut("environment").and_then(Value::as_array_mut) {
                environment.reverse();
            }
        }
        self.definitions.entry(family).or_default().push(definition);
        arn
    }

    /// A task definition by its ARN, `family:revision` or family.
    pub fn definition(&self, name: &str) -> Option<&Value> {
        let name = name.rsplit('/').next()?;
        let (family, revision) = match name.split_once(':') {
            Some((family, revision)) => (family, revision.parse::<usize>().ok()),
            None => (name, None),
        };
        let all = self.definitions.get(family)?;
        all.get(revision.unwrap_or(all.len()).checked_sub(1)?)
    }

    /// The image that a service is told to run.
    pub fn image(&self, service: &str) -> String {
        let definition = self.definition(&self.services[service].task_definition).unwrap();
        text(&definition["containerDefinitions"][0], "image").to_owned()
    }

    /// The value of a variable that a service's tasks are told.
    pub fn variable(&self, service: &str, name: &str) -> Option<String> {
        let definition = self.definition(&self.services[service].task_definition).unwrap();
        let all = definition["containerDefinitions"][0]["environment"].as_array()?;
        all.iter().find(|one| one["name"] == name).map(|one| text(one, "value").to_owned())
    }

    fn event(service: &mut Service, id: u64, now: f64, message: &str) {
        let event = json!({"id": format!("event-{id}"), "createdAt": now, "message": format!("(service {}) {message}", service.name)});
        service.events.push_front(event);
        service.events.truncate(100);
    }

    /// Lets everything happen that the clock has come to.
    pub fn step(&mut self) {
        let now = self.clock.now();
        let mut failed = Vec::new();
        for service in self.services.values_mut() {
            let flags = |name: &str| {
                let of = &service.configuration[name];
                (of["enable"].as_bool().unwrap_or(false), of["rollback"].as_bool().unwrap_or(false))
            };
            let (breaker, alarm) = (flags("deploymentCircuitBreaker"), flags("alarms"));
            // What is late is made up for, one step after the other.
            for _ in 0..64 {
                let Some(rollout) = service.rollouts.iter_mut().rev().find(|one| one.is_open()) else { break };
                let happened = rollout.step(now, breaker, alarm);
                if happened == Happened::Nothing {
                    break;
                }
                self.count += 1;
                let (task_definition, source) = (rollout.task_definition.clone(), rollout.source.clone());
                let fate = rollout.fate.clone();
                let message = match happened {
                    Happened::TaskStarted => "has started 1 tasks.",
                    Happened::TaskFailed => "was unable to keep a task running.",
                    Happened::Succeeded => "has reached a steady state.",
                    Happened::RolledBack => "was rolled back.",
                    _ => "deployment failed.",
                };
                if happened == Happened::RolledBack
                    && let Some((revision, source)) = source
                {
                    (service.revision, service.task_definition) = (revision, source);
                }
                let id = self.count;
                Self::event(service, id, now, message);
                if let (Happened::TaskFailed, Fate::Fails { code, lines }) = (happened, fate) {
                    failed.push((service.name.clone(), task_definition, code, lines));
                }
            }
        }
        for (service, task_definition, code, lines) in failed {
            self.fail_task(&service, &task_definition, code, lines);
        }
        self.step_tasks();
    }

    pub(super) fn service(&self, name: &str) -> Result<&Service, Refusal> {
        let name = last(name);
        self.services.get(name).ok_or_else(|| refused("ServiceNotFoundException", "Service not found."))
    }

    /// Begins a rollout; one that goes on is superseded.
    pub fn begin_rollout(&mut self, name: &str, task_definition: &str) {
        let now = self.clock.now();
        let revision = self.new_id(&format!("service-revision/{}/{name}", self.cluster));
        let deployment = self.new_id(&format!("service-deployment/{}/{name}", self.cluster));
        let id = self.count;
        let service = self.services.get_mut(name).unwrap();
        // What has not arrived is nothing to come back to.
        let open = service.rollouts.iter().find(|one| one.is_open()).and_then(|one| one.source.clone());
        let source = open.or_else(|| Some((service.revision.clone(), service.task_definition.clone())));
        for open in service.rollouts.iter_mut().filter(|one| one.is_open()) {
            open.finish("STOPPED", "Service deployment stopped because a newer one has begun.", now);
        }
        let strategy = service.configuration["strategy"].as_str().unwrap_or("ROLLING").to_owned();
        service.rollouts.push(Rollout {
            arn: deployment,
            revision: revision.clone(),
            task_definition: task_definition.to_owned(),
            source,
            created: now,
            finished: None,
            status: "PENDING",
            reason: None,
            rollback_began: None,
            rollback_reason: None,
            fate: service.fates.pop_front().unwrap_or(Fate::Succeeds),
            strategy,
            running: 0,
            failures: 0,
            desired: service.desired,
            alarms: Vec::new(),
            stage: None,
            id,
        });
        (service.revision, service.task_definition) = (revision, task_definition.to_owned());
    }

    pub(super) fn describe(&self, service: &Service) -> Value {
        let open = service.rollouts.iter().rev().find(|one| one.is_open());
        let deployment = |status: &str, id: u64, definition: &str, state: &str, running: i64, failed: i64| {
            json!({
                "id": format!("ecs-svc/{id}"), "status": status, "taskDefinition": definition, "desiredCount": service.desired,
                "runningCount": running, "pendingCount": 0, "failedTasks": failed, "rolloutState": state,
            })
        };
        let deployments = match open {
            None => vec![deployment("PRIMARY", 1, &service.task_definition, "COMPLETED", service.desired, 0)],
            Some(open) => {
                let mut all = vec![deployment(
                    "PRIMARY",
                    open.id,
                    &open.task_definition,
                    "IN_PROGRESS",
                    open.running,
                    open.failures,
                )];
                if let Some((_, source)) = &open.source {
                    all.push(deployment("ACTIVE", 1, source, "COMPLETED", service.desired - open.running, 0));
                }
                all
            }
        };
        let mut value = json!({
            "serviceName": service.name, "serviceArn": self.service_arn(&service.name),
            "clusterArn": self.cluster_arn(), "status": "ACTIVE", "desiredCount": service.desired,
            "runningCount": service.desired, "pendingCount": 0, "taskDefinition": service.task_definition,
            "deploymentConfiguration": service.configuration, "deployments": deployments, "events": service.events,
            "deploymentController": {"type": "ECS"}, "enableExecuteCommand": service.exec,
            "availabilityZoneRebalancing": "ENABLED",
        });
        value["tags"] = self.tags(&self.service_arn(&service.name));
        super::terraform::told_again(&service.made, &mut value);
        value
    }

    pub(super) fn service_arn(&self, name: &str) -> String {
        arn(&format!("service/{}/{name}", self.cluster))
    }

    pub(super) fn cluster_arn(&self) -> String {
        arn(&format!("cluster/{}", self.cluster))
    }

    fn rollouts(&self) -> impl Iterator<Item = (&Service, &Rollout)> {
        self.services.values().flat_map(|service| service.rollouts.iter().map(move |one| (service, one)))
    }

    /// The answer to an operation.
    pub fn answer(&mut self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let texts = |name: &str| -> Vec<String> {
            request[name].as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let named = |cluster: &str| cluster.rsplit('/').next() == Some(self.cluster.as_str());
        if request["cluster"].as_str().is_some_and(|cluster| !named(cluster)) {
            return Err(refused("ClusterNotFoundException", "Cluster not found."));
        }
        let cluster = self.cluster_arn();
        Ok(match operation {
            "DescribeClusters" => {
                json!({"clusters": [{"clusterArn": cluster, "clusterName": self.cluster, "status": "ACTIVE"}], "failures": []})
            }
            "DescribeServices" => {
                let wanted = texts("services");
                if wanted.len() > 10 {
                    return Err(refused("InvalidParameterException", "services can have at most 10 items."));
                }
                let (found, missing): (Vec<_>, Vec<_>) =
                    wanted.iter().map(|name| (name, self.service(name))).partition(|(_, found)| found.is_ok());
                let (deleted, missing): (Vec<_>, Vec<_>) =
                    missing.iter().map(|(name, _)| *name).partition(|name| self.deleted.contains_key(last(name)));
                let told = found.iter().filter_map(|(_, one)| one.as_ref().ok()).map(|one| self.describe(one));
                let told = told.chain(deleted.into_iter().map(|name| self.deleted[last(name)].clone()));
                json!({
                    "services": told.collect::<Vec<_>>(),
                    "failures": missing.iter().map(|name| json!({"arn": name, "reason": "MISSING"})).collect::<Vec<_>>(),
                })
            }
            "RegisterTaskDefinition" => {
                let arn = self.register(request);
                json!({"taskDefinition": self.definition(&arn), "tags": self.tags(&arn)})
            }
            "DescribeTaskDefinition" => {
                let found = self.definition(text(request, "taskDefinition"));
                let found = found.ok_or_else(|| refused("ClientException", "Unable to describe task definition."))?;
                json!({"taskDefinition": found, "tags": self.tags(text(found, "taskDefinitionArn"))})
            }
            "UpdateService" => self.update(request)?,
            "ListServiceDeployments" => {
                let service = self.service(text(request, "service"))?;
                let wanted = texts("status");
                let all = service
                    .rollouts
                    .iter()
                    .rev()
                    .filter(|one| wanted.is_empty() || wanted.iter().any(|status| status == one.status));
                let own = self.service_arn(&service.name);
                json!({"serviceDeployments": all.take(20).map(|one| one.brief(&own, &cluster)).collect::<Vec<_>>()})
            }
            "DescribeServiceDeployments" => {
                let wanted = texts("serviceDeploymentArns");
                let all = self.rollouts().filter(|(_, one)| wanted.contains(&one.arn)).map(|(service, one)| {
                    let own = self.service_arn(&service.name);
                    one.full(&own, &cluster, &service.configuration)
                });
                json!({"serviceDeployments": all.collect::<Vec<_>>(), "failures": []})
            }
            "DescribeServiceRevisions" => {
                let wanted = texts("serviceRevisionArns");
                let all = self.rollouts().filter(|(_, one)| wanted.contains(&one.revision));
                let all = all
                    .map(|(_, one)| json!({"serviceRevisionArn": one.revision, "taskDefinition": one.task_definition}));
                json!({"serviceRevisions": all.collect::<Vec<_>>(), "failures": []})
            }
            "StopServiceDeployment" => {
                let wanted = text(request, "serviceDeploymentArn").to_owned();
                let now = self.clock.now();
                let all = self.services.values_mut().flat_map(|service| service.rollouts.iter_mut());
                let Some(rollout) = all.into_iter().find(|one| one.arn == wanted) else {
                    return Err(refused("ServiceDeploymentNotFoundException", "Service deployment not found."));
                };
                if !rollout.is_open() {
                    return Err(refused("ConflictException", "The service deployment has ended."));
                }
                match text(request, "stopType") {
                    "ABORT" => rollout.finish("STOPPED", "Service deployment stopped by a user.", now),
                    _ => rollout
                        .roll_back("Service deployment rolled back because of a StopServiceDeployment request.", now),
                }
                json!({"serviceDeploymentArn": wanted})
            }
            other => self.answer_tasks(other, request)?,
        })
    }

    fn update(&mut self, request: &Value) -> Result<Value, Refusal> {
        // By its name or its ARN.
        let name = self.service(text(request, "service"))?.name.clone();
        let wanted = match request["taskDefinition"].as_str() {
            Some(wanted) => {
                Some(self.definition(wanted).ok_or_else(|| refused("ClientException", "TaskDefinition not found."))?)
            }
            None => None,
        };
        let wanted = wanted.map(|definition| text(definition, "taskDefinitionArn").to_owned());
        let service = self.services.get_mut(&name).unwrap();
        if let Some(desired) = request["desiredCount"].as_i64() {
            service.desired = desired;
        }
        if let Some(Value::Object(fields)) = request.get("deploymentConfiguration") {
            for (field, value) in fields {
                service.configuration[field] = value.clone();
            }
        }
        let is_forced = request["forceNewDeployment"].as_bool().unwrap_or(false);
        let target = wanted.unwrap_or_else(|| service.task_definition.clone());
        // Settings alone begin no rollout.
        if is_forced || target != service.task_definition {
            self.begin_rollout(&name, &target);
        }
        Ok(json!({"service": self.describe(&self.services[&name])}))
    }
}

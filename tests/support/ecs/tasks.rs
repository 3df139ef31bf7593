//! Tasks: those of services that fail, and one-off tasks.

use serde_json::{Value, json};

use super::Refusal;
use super::state::{State, arn};

/// One task.
pub struct Task {
    pub service: Option<String>,
    pub definition: String,
    pub started_by: String,
    pub created: f64,
    /// Exit code and lines, once it has run.
    pub ending: (i64, Vec<String>),
    pub status: &'static str,
    pub reason: Option<String>,
    pub command: Vec<String>,
}

/// Seconds until a one-off task runs, and until it has ended.
const RUNS: f64 = 6.0;
const ENDS: f64 = 12.0;

impl State {
    /// A task of a service that started and exited.
    pub(super) fn fail_task(&mut self, service: &str, task_definition: &str, code: i64, lines: Vec<String>) {
        let task = Task {
            service: Some(service.to_owned()),
            definition: task_definition.to_owned(),
            started_by: "ecs-svc/1".into(),
            created: self.clock.now(),
            ending: (code, lines.clone()),
            status: "STOPPED",
            reason: Some("Essential container in task exited".into()),
            command: Vec::new(),
        };
        let id = self.add(task);
        self.print(&id, task_definition, lines);
    }

    /// A task of a service that runs.
    pub fn add_running_task(&mut self, service: &str) {
        let task = Task {
            service: Some(service.to_owned()),
            definition: self.services[service].task_definition.clone(),
            started_by: "ecs-svc/1".into(),
            created: self.clock.now(),
            ending: (0, Vec::new()),
            status: "RUNNING",
            reason: None,
            command: Vec::new(),
        };
        self.add(task);
    }

    fn add(&mut self, task: Task) -> String {
        self.count += 1;
        let id = format!("{:032x}", 0x0123_4567_89ab_cdef_u64.wrapping_mul(self.count));
        self.tasks.insert(arn(&format!("task/{}/{id}", self.cluster)), task);
        id
    }

    fn container(&self, task_definition: &str) -> Value {
        self.definition(task_definition)
            .map(|definition| definition["containerDefinitions"][0].clone())
            .unwrap_or_default()
    }

    fn print(&mut self, id: &str, task_definition: &str, lines: Vec<String>) {
        let container = self.container(task_definition);
        let options = &container["logConfiguration"]["options"];
        let (Some(group), Some(prefix)) =
            (options["awslogs-group"].as_str(), options["awslogs-stream-prefix"].as_str())
        else {
            return;
        };
        let stream = format!("{prefix}/{}/{id}", container["name"].as_str().unwrap_or_default());
        self.printed.push((group.to_owned(), stream, lines));
    }

    /// One-off tasks come along.
    pub(super) fn step_tasks(&mut self) {
        let now = self.clock.now();
        let mut ended = Vec::new();
        for (arn, task) in self.tasks.iter_mut().filter(|(_, task)| task.service.is_none() && task.status != "STOPPED")
        {
            let age = now - task.created;
            if age >= ENDS {
                task.status = "STOPPED";
                task.reason = Some("Essential container in task exited".into());
                ended.push((
                    arn.rsplit('/').next().unwrap().to_owned(),
                    task.definition.clone(),
                    task.ending.1.clone(),
                ));
            } else if age >= RUNS {
                task.status = "RUNNING";
            }
        }
        for (id, task_definition, lines) in ended {
            self.print(&id, &task_definition, lines);
        }
    }

    fn describe_task(&self, arn: &str, task: &Task) -> Value {
        let container = self.container(&task.definition);
        let mut value = json!({
            "taskArn": arn, "clusterArn": self.cluster_arn(), "lastStatus": task.status,
            "desiredStatus": if task.status == "STOPPED" { "STOPPED" } else { "RUNNING" },
            "taskDefinitionArn": task.definition, "startedBy": task.started_by, "createdAt": task.created,
            "containers": [{"name": container["name"], "lastStatus": task.status}],
        });
        if task.status == "STOPPED" {
            value["stopCode"] = "EssentialContainerExited".into();
            value["stoppedReason"] = task.reason.clone().into();
            value["containers"][0]["exitCode"] = task.ending.0.into();
        }
        value
    }

    pub(super) fn answer_tasks(&mut self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        Ok(match operation {
            "ListTasks" => {
                let is_stopped = text("desiredStatus").as_deref() == Some("STOPPED");
                let (service, by) = (text("serviceName"), text("startedBy"));
                if by.is_some() && (service.is_some() || text("desiredStatus").is_some()) {
                    return Err(Refusal("InvalidParameterException", "startedBy must be the only filter.".into()));
                }
                let all = self.tasks.iter().filter(|(_, task)| {
                    (task.status == "STOPPED") == is_stopped
                        && service.as_ref().is_none_or(|name| task.service.as_ref() == Some(name))
                        && by.as_ref().is_none_or(|by| task.started_by == *by)
                });
                json!({"taskArns": all.map(|(arn, _)| arn).collect::<Vec<_>>()})
            }
            "DescribeTasks" => {
                let wanted = request["tasks"].as_array().cloned().unwrap_or_default();
                let all = wanted.iter().filter_map(|arn| {
                    let (arn, task) = self.tasks.get_key_value(arn.as_str()?)?;
                    Some(self.describe_task(arn, task))
                });
                json!({"tasks": all.collect::<Vec<_>>(), "failures": []})
            }
            "RunTask" => {
                let by = text("startedBy").unwrap_or_default();
                if by.len() > 128 || !by.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c)) {
                    return Err(Refusal(
                        "InvalidParameterException",
                        format!("startedBy {by} has forbidden characters."),
                    ));
                }
                let definition = text("taskDefinition").unwrap_or_default();
                if self.definition(&definition).is_none() {
                    return Err(Refusal("ClientException", "TaskDefinition not found.".into()));
                }
                let command = &request["overrides"]["containerOverrides"][0]["command"];
                let words =
                    command.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned));
                let task = Task {
                    service: None,
                    definition,
                    started_by: text("startedBy").unwrap_or_default(),
                    created: self.clock.now(),
                    ending: self.one_offs.pop_front().unwrap_or((0, vec!["done".into()])),
                    status: "PROVISIONING",
                    reason: None,
                    command: words.collect(),
                };
                let id = self.add(task);
                let arn = arn(&format!("task/{}/{id}", self.cluster));
                json!({"tasks": [self.describe_task(&arn, &self.tasks[&arn])], "failures": []})
            }
            "StopTask" => {
                let wanted = text("task").unwrap_or_default();
                let Some(task) = self.tasks.get_mut(&wanted) else {
                    return Err(Refusal("InvalidParameterException", "The referenced task was not found.".into()));
                };
                task.status = "STOPPED";
                task.ending.0 = 137;
                task.reason = text("reason");
                let task = &self.tasks[&wanted];
                json!({"task": self.describe_task(&wanted, task)})
            }
            "ExecuteCommand" => {
                let Some(channel) = self.channel.clone() else {
                    return Err(Refusal(
                        "TargetNotConnectedException",
                        "The execute command agent isn't running.".into(),
                    ));
                };
                json!({
                    "clusterArn": self.cluster_arn(), "interactive": true, "taskArn": request["task"],
                    "session": {"sessionId": "ecs-execute-command-1", "streamUrl": channel, "tokenValue": "token-of-the-channel"},
                })
            }
            other => self.answer_terraform(other, request)?,
        })
    }
}

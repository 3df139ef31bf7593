//! What is asked of ECS to make an environment and to take it away: services made and deleted, revisions let go, tags.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::Refusal;
use super::state::{Service, State};

/// What `DescribeServices` repeats as `CreateService` said it.
const REPEATED: [&str; 13] = [
    "capacityProviderStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "healthCheckGracePeriodSeconds",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "schedulingStrategy",
    "serviceRegistries",
];

/// Fills in of a service what its request said.
pub(super) fn told_again(made: &Value, told: &mut Value) {
    for name in REPEATED {
        if let Some(value) = made.get(name) {
            told[name] = value.clone();
        }
    }
    if let Some(connect) = made.get("serviceConnectConfiguration") {
        told["deployments"][0]["serviceConnectConfiguration"] = connect.clone();
    }
}

impl State {
    pub(super) fn tags(&self, arn: &str) -> Value {
        self.tags.get(arn).cloned().unwrap_or_else(|| json!([]))
    }

    pub(super) fn answer_terraform(&mut self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        Ok(match operation {
            "CreateService" => {
                let name = text("serviceName");
                if self.services.contains_key(&name) {
                    return Err(Refusal("InvalidParameterException", "Creation of service was not idempotent.".into()));
                }
                let Some(definition) = self.definition(&text("taskDefinition")) else {
                    return Err(Refusal("ClientException", "TaskDefinition not found.".into()));
                };
                let task_definition = definition["taskDefinitionArn"].as_str().unwrap().to_owned();
                let revision = self.new_id(&format!("service-revision/{}/{name}", self.cluster));
                let mut configuration =
                    json!({"maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING"});
                for (field, value) in request["deploymentConfiguration"].as_object().into_iter().flatten() {
                    configuration[field] = value.clone();
                }
                let mut made = request.clone();
                for (field, default) in [
                    ("schedulingStrategy", json!("REPLICA")),
                    ("propagateTags", json!("NONE")),
                    ("deploymentController", json!({"type": "ECS"})),
                ] {
                    if made.get(field).is_none() {
                        made[field] = default;
                    }
                }
                // Tags are kept by ARN, where tagging finds them.
                let tags = made.as_object_mut().unwrap().remove("tags").unwrap_or_else(|| json!([]));
                self.tags.insert(self.service_arn(&name), tags);
                let service = Service {
                    name: name.clone(),
                    task_definition,
                    revision,
                    desired: request["desiredCount"].as_i64().unwrap_or(0),
                    configuration,
                    rollouts: Vec::new(),
                    events: VecDeque::new(),
                    exec: request["enableExecuteCommand"].as_bool().unwrap_or(false),
                    made,
                    fates: VecDeque::new(),
                };
                self.deleted.remove(&name);
                self.services.insert(name.clone(), service);
                json!({"service": self.describe(&self.services[&name])})
            }
            "DeleteService" => {
                let name = self.service(&text("service"))?.name.clone();
                let service = &self.services[&name];
                if service.desired > 0 && request["force"] != true {
                    let why = "The service cannot be stopped while it is scaled above 0.";
                    return Err(Refusal("InvalidParameterException", why.into()));
                }
                let mut told = self.describe(service);
                told["status"] = "DRAINING".into();
                self.services.remove(&name);
                let mut deleted = told.clone();
                (deleted["status"], deleted["desiredCount"], deleted["runningCount"]) =
                    ("INACTIVE".into(), 0.into(), 0.into());
                self.deleted.insert(name, deleted);
                json!({"service": told})
            }
            "ListTagsForResource" => json!({"tags": self.tags(&text("resourceArn"))}),
            "TagResource" => {
                let arn = text("resourceArn");
                let mut tags = self.tags(&arn);
                let all = tags.as_array_mut().unwrap();
                for tag in request["tags"].as_array().into_iter().flatten() {
                    all.retain(|one| one["key"] != tag["key"]);
                    all.push(tag.clone());
                }
                self.tags.insert(arn, tags);
                json!({})
            }
            "UntagResource" => {
                let arn = text("resourceArn");
                let mut tags = self.tags(&arn);
                let keys = request["tagKeys"].as_array().cloned().unwrap_or_default();
                tags.as_array_mut().unwrap().retain(|one| !keys.contains(&one["key"]));
                self.tags.insert(arn, tags);
                json!({})
            }
            other => return self.answer_revisions(other, request),
        })
    }

    fn answer_revisions(&mut self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        Ok(match operation {
            "DeregisterTaskDefinition" => {
                let wanted = text("taskDefinition");
                let Some(arn) = self.definition(&wanted).map(|one| one["taskDefinitionArn"].clone()) else {
                    return Err(Refusal("ClientException", "The specified task definition does not exist.".into()));
                };
                let all = self.definitions.values_mut().flatten();
                let definition = all.into_iter().find(|one| one["taskDefinitionArn"] == arn).unwrap();
                definition["status"] = "INACTIVE".into();
                json!({"taskDefinition": definition})
            }
            "ListTaskDefinitions" => {
                let prefix = text("familyPrefix");
                let all = self.definitions.values().flatten();
                let active = all.filter(|one| one["status"] == "ACTIVE");
                let named = active.filter(|one| one["family"].as_str().unwrap().starts_with(&prefix));
                json!({"taskDefinitionArns": named.map(|one| one["taskDefinitionArn"].clone()).collect::<Vec<_>>()})
            }
            "DeleteTaskDefinitions" => {
                let wanted = request["taskDefinitions"].as_array().cloned().unwrap_or_default();
                if wanted.len() > 10 {
                    return Err(Refusal("InvalidParameterException", "At most 10 task definitions.".into()));
                }
                for one in self.definitions.values_mut().flatten() {
                    if wanted.contains(&one["taskDefinitionArn"]) {
                        if one["status"] != "INACTIVE" {
                            return Err(Refusal("ClientException", "It must be deregistered first.".into()));
                        }
                        one["status"] = "DELETE_IN_PROGRESS".into();
                    }
                }
                json!({"taskDefinitions": [], "failures": []})
            }
            other => return Err(Refusal("ClientException", format!("{other} is not played"))),
        })
    }
}

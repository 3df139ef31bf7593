//! What Terraform tells of an environment: its output `streamify`, one object, checked whole.
//!
//! `docs/decisions/0008-environments.md` says what is in it and why it is one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::settings::{EnvironmentSettings, Settings};
use crate::terraform::{Terraform, json_of};

/// The output's name.
pub const OUTPUT: &str = "streamify";

/// Reading a remote state takes seconds; longer than this, somebody waits at a prompt or for a lock.
const LIMIT: Duration = Duration::from_secs(90);

/// What Terraform made for an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// The ECS cluster's name.
    pub cluster: String,
    /// Ids of the subnets that tasks run in; at least one.
    pub subnets: Vec<String>,
    /// Where tasks have no NAT.
    pub assign_public_ip: bool,
    /// The `DynamoDB` table of the lock and the history.
    pub deploys_table: String,
    /// Variable to ARN, for secrets that Terraform makes.
    pub secrets: BTreeMap<String, String>,
    /// Variable to value, for what Terraform knows and tasks have to: where the database and Kafka are. Never a secret.
    pub environment: BTreeMap<String, String>,
    /// By the service's name in `streamify.yaml`.
    pub services: BTreeMap<String, ServiceOutputs>,
    /// Where the environment is functions; then there is no cluster and no service.
    pub lambda: Option<LambdaOutputs>,
    /// Where it was read, for messages.
    pub source: String,
}

/// What Terraform made for an environment of functions.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct LambdaOutputs {
    /// The functions' names, by what they do: `http`, and where there are any `websocket` and `events`.
    pub functions: BTreeMap<String, String>,
    /// The alias that everything invokes.
    #[serde(default = "usual_alias")]
    pub alias: String,
    /// The S3 bucket of the page; none where the page is somewhere else.
    #[serde(default)]
    pub page_bucket: Option<String>,
    /// The id of the `CloudFront` distribution before the bucket.
    #[serde(default)]
    pub distribution: Option<String>,
    /// The API's address as the browser sees it; none: the page's own.
    #[serde(default)]
    pub api_url: Option<String>,
    /// The WebSocket API's address, `wss://…`.
    #[serde(default)]
    pub websocket_url: Option<String>,
}

fn usual_alias() -> String {
    "live".to_owned()
}

/// What Terraform made for a service.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct ServiceOutputs {
    /// The ECS service's name.
    pub name: String,
    /// The ARN of the role that pulls the image, reads the secrets and writes the log.
    pub execution_role: String,
    /// The ARN of the role that the program has.
    pub task_role: String,
    /// Ids; at least one.
    pub security_groups: Vec<String>,
    /// The target group's ARN; none without a load balancer.
    pub target_group: Option<String>,
    /// The `CloudWatch` log group's name.
    pub log_group: String,
    /// Names of the `CloudWatch` alarms that stop this service's rollout, besides those of `streamify.yaml`.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// The container's name; the service's by default.
    #[serde(default)]
    pub container: String,
    /// Whether the network lets it reach the database and Kafka; then it gets [`Outputs::environment`].
    #[serde(default = "yes")]
    pub reaches_data: bool,
}

fn yes() -> bool {
    true
}

/// The object as it is written; services are read one by one, so that a mistake is named with its service.
#[derive(Deserialize)]
struct Written {
    cluster: String,
    subnets: Vec<String>,
    assign_public_ip: bool,
    deploys_table: String,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    /// Terraform writes null where a root has nothing to tell.
    #[serde(default)]
    environment: Option<BTreeMap<String, String>>,
    services: BTreeMap<String, Value>,
}

impl Outputs {
    /// Reads an environment's outputs: from a file where one is given, else from its Terraform root.
    ///
    /// # Errors
    /// No file; no Terraform; a root that was not applied; and what [`Outputs::parse`] finds.
    pub async fn load(environment: &EnvironmentSettings, settings: &Settings, file: Option<&Path>) -> Result<Self> {
        if let Some(file) = file {
            let text = tokio::fs::read_to_string(file)
                .await
                .map_err(|error| Failure::usage(format!("can't read {}", file.display())).because(&error))?;
            return Self::parse(&text, &file.display().to_string());
        }
        let root = settings.directory.join(&environment.terraform);
        let name = &environment.name;
        if !root.is_dir() {
            let failure = Failure::usage(format!("there is no Terraform root for the environment `{name}`"))
                .cause(format!("there is no folder {}", root.display()));
            let of_cdk = format!("infra/cdk/outputs.{name}.json");
            return Err(if settings.directory.join(&of_cdk).is_file() {
                failure.hint(format!("What the CDK has made is there: --outputs {of_cdk}"))
            } else {
                failure.hint(format!("Set environments.{name}.terraform in streamify.yaml, or give --outputs FILE."))
            });
        }
        let terraform = Terraform::find(settings, environment, None)
            .map_err(|failure| failure.hint("Or give the outputs as a file: --outputs FILE"))?;
        let text = ask(&terraform, &root).await?;
        Self::parse(&text, &format!("the output `{OUTPUT}` of {}", environment.terraform.display()))
    }

    /// Reads the object: alone, inside of what `terraform output -json` prints, or inside of what `cdk deploy` leaves.
    ///
    /// # Errors
    /// The key that is missing or of another type, with its service.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let mut value: Value = serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("{source} is not JSON")).because(&error))?;
        if let Some(inside) = value.get_mut(OUTPUT).and_then(|output| output.get_mut("value")) {
            value = inside.take();
        } else if let Some(text) = of_stack(&value) {
            value = serde_json::from_str(text).map_err(|error| {
                Failure::usage(format!("the output `{OUTPUT}` in {source} is not JSON")).because(&error)
            })?;
        }
        let lambda = match value.get_mut("lambda").map(Value::take).filter(|lambda| !lambda.is_null()) {
            Some(lambda) => Some(read::<LambdaOutputs>(lambda, source, "lambda.")?),
            None => None,
        };
        if let (Some(_), Some(object)) = (&lambda, value.as_object_mut()) {
            // What only services need; a module may leave it out or write nulls.
            let unneeded = [
                ("cluster", json!("")),
                ("subnets", json!([])),
                ("assign_public_ip", json!(false)),
                ("services", json!({})),
            ];
            for (key, nothing) in unneeded {
                if object.get(key).is_none_or(Value::is_null) {
                    object.insert(key.to_owned(), nothing);
                }
            }
        }
        let written: Written = read(value, source, "")?;
        let services = written.services.into_iter().map(|(key, value)| {
            let mut service: ServiceOutputs = read(value, source, &format!("services.{key}."))?;
            if service.container.is_empty() {
                service.container.clone_from(&key);
            }
            Ok((key, service))
        });
        let outputs = Self {
            cluster: written.cluster,
            subnets: written.subnets,
            assign_public_ip: written.assign_public_ip,
            deploys_table: written.deploys_table,
            secrets: written.secrets,
            environment: written.environment.unwrap_or_default(),
            services: services.collect::<Result<_>>()?,
            lambda,
            source: source.to_owned(),
        };
        outputs.filled()?;
        Ok(outputs)
    }

    /// What Terraform tells the tasks of a service: all of [`Outputs::environment`], or nothing.
    pub fn environment_of(&self, service: &ServiceOutputs) -> BTreeMap<String, String> {
        if service.reaches_data { self.environment.clone() } else { BTreeMap::new() }
    }

    /// Whether every service of the environment is there, and none besides.
    ///
    /// # Errors
    /// The services that only one side knows.
    pub fn in_step(&self, environment: &EnvironmentSettings) -> Result<()> {
        let only = |mine: Vec<&String>, theirs: &dyn Fn(&String) -> bool| -> Vec<String> {
            mine.into_iter().filter(|name| !theirs(name)).map(|name| format!("`{name}`")).collect()
        };
        let missing = only(environment.services.keys().collect(), &|name| self.services.contains_key(name));
        let unknown = only(self.services.keys().collect(), &|name| environment.services.contains_key(name));
        if missing.is_empty() && unknown.is_empty() {
            return Ok(());
        }
        let name = &environment.name;
        let mut failure = Failure::failed(format!("streamify.yaml and Terraform know different services of `{name}`"));
        if !missing.is_empty() {
            failure = failure.cause(format!("Terraform has not made {}", missing.join(", ")));
        }
        if !unknown.is_empty() {
            failure = failure.cause(format!("streamify.yaml does not know {}", unknown.join(", ")));
        }
        Err(failure.hint(format!("Bring them in step: streamify infra plan {name}, then streamify infra apply {name}")))
    }

    /// A name that is empty would only show as a strange refusal of AWS.
    fn filled(&self) -> Result<()> {
        let empty = |key: String| {
            Err(Failure::usage(format!("{}: `{key}` is empty", self.source))
                .hint("It comes from the output of the Terraform root; docs/decisions/0008-environments.md lists it."))
        };
        if let Some(lambda) = &self.lambda {
            return match lambda.functions.get("http") {
                _ if self.deploys_table.is_empty() => empty("deploys_table".to_owned()),
                Some(name) if !name.is_empty() => Ok(()),
                _ => empty("lambda.functions.http".to_owned()),
            };
        }
        let texts = [("cluster", &self.cluster), ("deploys_table", &self.deploys_table)];
        if let Some((key, _)) = texts.iter().find(|(_, text)| text.is_empty()) {
            return empty((*key).to_owned());
        }
        if self.subnets.is_empty() {
            return empty("subnets".to_owned());
        }
        for (name, service) in &self.services {
            let texts = [
                ("name", &service.name),
                ("execution_role", &service.execution_role),
                ("task_role", &service.task_role),
                ("log_group", &service.log_group),
            ];
            let empty_text = texts.iter().find(|(_, text)| text.is_empty()).map(|(key, _)| *key);
            let key = empty_text.or(service.security_groups.is_empty().then_some("security_groups"));
            if let Some(key) = key {
                return empty(format!("services.{name}.{key}"));
            }
        }
        Ok(())
    }
}

/// CDK's file has an object of each stack, and `CloudFormation` knows no output but text.
fn of_stack(value: &Value) -> Option<&str> {
    value.as_object()?.values().find_map(|outputs| outputs.get(OUTPUT)?.as_str())
}

fn read<T: DeserializeOwned>(value: Value, source: &str, place: &str) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        let at = place.trim_end_matches('.');
        let at = if at.is_empty() { String::new() } else { format!(", in {at}") };
        Failure::usage(format!("{source} is not what a deploy needs{at}"))
            .cause(error.to_string())
            .hint("docs/decisions/0008-environments.md lists the keys; terraform/ in this project writes them.")
    })
}

async fn ask(terraform: &Terraform, root: &Path) -> Result<String> {
    let (program, shown) = (terraform.name(), root);
    let mut command = terraform.command(root);
    command.args(["output", "-json", "-no-color", OUTPUT]).kill_on_drop(true);
    let asked = tokio::time::timeout(LIMIT, command.output()).await.map_err(|_| {
        Failure::timed_out(format!("{program} has not given its outputs in {} s", LIMIT.as_secs()))
            .cause(format!("in {}", shown.display()))
            .hint("Does the state's place answer? --outputs FILE takes the object from a file instead.")
    })?;
    let output = asked.map_err(|error| {
        Failure::unreachable(format!("can't run {program}"))
            .because(&error)
            .hint("Install Terraform, or give the outputs as a file: --outputs FILE")
    })?;
    if output.status.success() {
        let text = String::from_utf8(output.stdout)
            .map_err(|error| Failure::failed(format!("{program} did not print text")).because(&error))?;
        return Ok(json_of(&text).to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // Terraform frames its errors with bars and empty lines.
    let lines = said.lines().map(|line| line.trim_matches(['│', '╷', '╵', ' '])).filter(|line| !line.is_empty());
    Err(Failure::failed(format!("can't read the output `{OUTPUT}` of {}", shown.display()))
        .cause(lines.collect::<Vec<_>>().join("\n"))
        .hint("Has it been applied? streamify infra apply ENV initialises the root and applies it.")
        .hint("--outputs FILE takes the object from a file instead."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Value {
        json!({
            "cluster": "cinema-prod", "subnets": ["subnet-1"], "assign_public_ip": false, "deploys_table": "deploys",
            "secrets": {"DATABASE_URL": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-a1"},
            "services": {"backend": {
                "name": "cinema-prod-backend", "execution_role": "arn:aws:iam::123456789012:role/e",
                "task_role": "arn:aws:iam::123456789012:role/t", "security_groups": ["sg-1"], "target_group": null,
                "log_group": "/cinema/prod/backend",
            }},
        })
    }

    #[test]
    fn the_object_is_read_alone_and_among_all_outputs() {
        let alone = Outputs::parse(&object().to_string(), "a file").unwrap();
        assert_eq!(alone.services["backend"].container, "backend");
        assert_eq!(alone.services["backend"].target_group, None);
        let all =
            json!({"other": {"value": 1}, "streamify": {"sensitive": false, "type": "dynamic", "value": object()}});
        assert_eq!(Outputs::parse(&all.to_string(), "a file").unwrap(), alone);
        let of_cdk = json!({"cinema-prod": {"address": "http://x", "streamify": object().to_string()}});
        assert_eq!(Outputs::parse(&of_cdk.to_string(), "a file").unwrap(), alone);
        let broken = json!({"cinema-prod": {"streamify": "{"}}).to_string();
        assert!(Outputs::parse(&broken, "f").unwrap_err().message.contains("`streamify` in f is not JSON"));
    }

    #[test]
    fn what_tasks_have_to_know_goes_to_those_that_reach_it() {
        let environment = |value: Value| {
            let mut object = object();
            object["environment"] = value;
            object["services"]["page"] = object["services"]["backend"].clone();
            object["services"]["page"]["reaches_data"] = json!(false);
            Outputs::parse(&object.to_string(), "a file")
        };
        let outputs = environment(json!({"DATABASE_HOST": "db.internal"})).unwrap();
        assert_eq!(outputs.environment_of(&outputs.services["backend"])["DATABASE_HOST"], "db.internal");
        assert!(outputs.environment_of(&outputs.services["page"]).is_empty());
        assert!(environment(Value::Null).unwrap().environment.is_empty());
        assert!(Outputs::parse(&object().to_string(), "a file").unwrap().environment.is_empty());
        let failure = environment(json!({"DATABASE_PORT": 5432})).unwrap_err();
        assert!(failure.causes[0].contains("5432"), "{failure:?}");
    }

    #[test]
    fn functions_need_no_cluster() {
        let object = json!({
            "deploys_table": "deploys", "cluster": null,
            "lambda": {"functions": {"http": "cinema-http"}, "page_bucket": "cinema-page"},
        });
        let outputs = Outputs::parse(&object.to_string(), "a file").unwrap();
        let lambda = outputs.lambda.unwrap();
        assert_eq!((lambda.alias.as_str(), lambda.page_bucket.as_deref()), ("live", Some("cinema-page")));
        let lacking = json!({"deploys_table": "deploys", "lambda": {"functions": {}}});
        let failure = Outputs::parse(&lacking.to_string(), "f").unwrap_err();
        assert!(failure.message.contains("lambda.functions.http"), "{failure:?}");
    }

    #[test]
    fn what_is_missing_is_named_with_its_place() {
        let mut lacking = object();
        lacking["services"]["backend"].as_object_mut().unwrap().remove("log_group");
        let failure = Outputs::parse(&lacking.to_string(), "a file").unwrap_err();
        assert!(failure.message.contains("services.backend"), "{failure:?}");
        assert!(failure.causes[0].contains("log_group"), "{failure:?}");

        let mut lacking = object();
        lacking.as_object_mut().unwrap().remove("deploys_table");
        assert!(Outputs::parse(&lacking.to_string(), "f").unwrap_err().causes[0].contains("deploys_table"));
        let mut empty = object();
        empty["services"]["backend"]["task_role"] = "".into();
        let failure = Outputs::parse(&empty.to_string(), "f").unwrap_err();
        assert!(failure.message.contains("services.backend.task_role"), "{failure:?}");
        assert!(Outputs::parse("nothing", "f").unwrap_err().message.contains("not JSON"));
    }
}

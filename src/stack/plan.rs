//! What `dev up` is going to do, as data: each step with its reason.

use std::collections::BTreeMap;

use serde::Serialize;

use super::state::Phase;
use crate::settings::Service;

/// What was found before anything was touched.
#[derive(Debug, Default)]
pub struct Observed {
    pub phases: BTreeMap<Service, Phase>,
    pub database_exists: bool,
    pub broker_exists: bool,
    pub postgres_must_be_fetched: bool,
    pub kafka_must_be_fetched: bool,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub resource: String,
    pub action: &'static str,
    pub reason: String,
}

/// The services that are needed for the ones that are asked for, in the order in which they are shown.
pub fn closure(asked: &[Service]) -> Vec<Service> {
    let all = asked.is_empty();
    let wanted = |service: Service| {
        let needed_by: &[Service] = match service {
            Service::Postgres => &[Service::Backend],
            Service::Kafka => &[Service::Backend, Service::KafkaUi],
            _ => &[],
        };
        all || asked.contains(&service) || needed_by.iter().any(|by| asked.contains(by))
    };
    Service::ALL.into_iter().filter(|service| wanted(*service)).collect()
}

/// The steps, in the order in which they can begin; none where everything is healthy.
pub fn plan(ports: &BTreeMap<Service, u16>, observed: &Observed) -> Vec<Step> {
    let order = [Service::Postgres, Service::Kafka, Service::Frontend, Service::KafkaUi, Service::Backend];
    let mut steps = Vec::new();
    let mut step = |resource: &str, action, reason: String| {
        steps.push(Step { resource: resource.to_owned(), action, reason });
    };
    for service in order {
        let Some(port) = ports.get(&service) else { continue };
        let phase = observed.phases.get(&service).copied().unwrap_or_default();
        if phase.is_active() {
            continue;
        }
        match service {
            Service::Postgres => {
                if observed.postgres_must_be_fetched {
                    step("postgres", "fetch", "no PostgreSQL 14 or newer is installed".into());
                }
                if !observed.database_exists {
                    step("postgres", "initialise", "there is no database yet".into());
                }
            }
            Service::Kafka => {
                if observed.kafka_must_be_fetched {
                    step("kafka", "fetch", "its jars are not here yet".into());
                }
                if !observed.broker_exists {
                    step("kafka", "format", "there is no broker storage yet".into());
                }
            }
            Service::Backend => step("migrations", "run", "the schema must be up to date before the backend".into()),
            Service::Frontend | Service::KafkaUi => {}
        }
        step(service.name(), "start", format!("it is {}; it will listen on 127.0.0.1:{port}", phase.word()));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| format!("{} {}: {}", step.action, step.resource, step.reason)).collect()
    }

    #[test]
    fn a_first_start_says_each_step_and_why() {
        let ports = Service::ALL.into_iter().map(|service| (service, service.default_port())).collect();
        let observed = Observed { kafka_must_be_fetched: true, ..Observed::default() };
        insta::assert_snapshot!(text(&plan(&ports, &observed)).join("\n"), @r"
        initialise postgres: there is no database yet
        start postgres: it is stopped; it will listen on 127.0.0.1:5432
        fetch kafka: its jars are not here yet
        format kafka: there is no broker storage yet
        start kafka: it is stopped; it will listen on 127.0.0.1:9092
        start frontend: it is stopped; it will listen on 127.0.0.1:3000
        start kafka-ui: it is stopped; it will listen on 127.0.0.1:8080
        run migrations: the schema must be up to date before the backend
        start backend: it is stopped; it will listen on 127.0.0.1:3001
        ");
    }

    #[test]
    fn nothing_is_planned_for_what_runs_and_a_failed_one_is_started_again() {
        let ports = BTreeMap::from([(Service::Postgres, 1), (Service::Kafka, 2)]);
        let phases = BTreeMap::from([(Service::Postgres, Phase::Healthy), (Service::Kafka, Phase::Failed)]);
        let observed = Observed { phases, broker_exists: true, ..Observed::default() };
        assert_eq!(text(&plan(&ports, &observed)), ["start kafka: it is failed; it will listen on 127.0.0.1:2"]);
    }

    #[test]
    fn a_service_brings_what_it_needs() {
        assert_eq!(closure(&[Service::KafkaUi]), [Service::Kafka, Service::KafkaUi]);
        assert_eq!(closure(&[]).len(), 5);
    }
}

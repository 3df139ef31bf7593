//! The whole of shipping, told as a story: this project's own `streamify.yaml` from a clean state to a deploy that is
//! live, the ways in which one fails, and the way back. `make demo-deploy` prints every command with what it says.

use std::fs;
use std::path::{Path, PathBuf};

use aws_config::SdkConfig;
use serde_json::{Value, json};

use super::world::{Ran, SECRET, deploys_table, runtime};
use crate::support::aws::{ACCOUNT, Emulator, Player, variables};
use crate::support::ecs::{Ecs, Fate};
use crate::support::ground::{self, Network, clients};
use crate::support::process::eventually;
use crate::support::story::{Going, Story};

pub const BACKEND: &str = "streamify-prod-backend";
const FRONTEND: &str = "streamify-prod-frontend";

/// What is shipped, and an AWS where Terraform has been at work and nothing else.
pub struct Stage {
    ecs: Ecs,
    story: Story,
    _emulator: Emulator,
}

impl Stage {
    pub fn new() -> Self {
        let emulator = Emulator::start(Player::MiniStack, &[]);
        let ecs = Ecs::start(&emulator.endpoint());
        let outputs = runtime().block_on(made(&clients(&emulator.endpoint()), &emulator, &ecs));
        let mut story = Story::new(|own| own, &format!("JWT_KEYS=first:{SECRET}-{SECRET}\n"));
        fs::write(story.file("outputs.json"), serde_json::to_string_pretty(&outputs).unwrap()).unwrap();
        story.variables = variables(&emulator.endpoint());
        let own = [
            ("AWS_ENDPOINT_URL_ECS", ecs.endpoint()),
            ("STREAMIFY_ECR_REGISTRY", format!("127.0.0.1:{}", emulator.port)),
            ("XDG_CACHE_HOME", story.file("cache").display().to_string()),
            ("STREAMIFY_LEASE_SECONDS", "4".to_owned()),
            ("USER", "anna".to_owned()),
        ];
        story.variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Self { ecs, story, _emulator: emulator }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.story.file(name)
    }

    pub fn folder(&self) -> &Path {
        self.story.folder()
    }

    /// Everything that a process needs to work in this AWS.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.story.variables.clone()
    }

    /// Another version of the program.
    pub fn change(&self, what: &str) {
        self.story.change(what);
    }

    /// Runs a command to its end, and shows it.
    pub fn run(&self, arguments: &str) -> Ran {
        self.ended(self.start(arguments))
    }

    fn start(&self, arguments: &str) -> Going {
        let has_outputs = !arguments.starts_with("secrets ") || arguments.starts_with("secrets diff");
        self.story.start(arguments, if has_outputs { &["--outputs", "outputs.json"] } else { &[] })
    }

    fn ended(&self, going: Going) -> Ran {
        let ran = self.story.ended(going);
        assert_eq!(self.ecs.state().wrong, Vec::<String>::new());
        ran
    }

    pub fn destine(&self, service: &str, fate: Fate) {
        self.ecs.state().services.get_mut(service).unwrap().fates.push_back(fate);
    }

    fn rollouts(&self, service: &str) -> usize {
        self.ecs.state().services[service].rollouts.len()
    }
}

/// What Terraform makes; gives its output.
async fn made(config: &SdkConfig, emulator: &Emulator, ecs: &Ecs) -> Value {
    let endpoint = emulator.endpoint();
    deploys_table(emulator, "streamify-prod-deploys").await;
    let network = Network::make(&endpoint).await;
    ground::role(&endpoint, "streamify-prod-execution", "ecs-tasks").await;
    let mut services = serde_json::Map::new();
    "streamify-prod".clone_into(&mut ecs.state().cluster);
    for (name, port, health) in [("backend", 3001, "/health/started"), ("frontend", 3000, "/health/live")] {
        let whole = format!("streamify-prod-{name}");
        ground::role(&endpoint, &whole, "ecs-tasks").await;
        ground::log_group(config, &format!("/streamify/prod/{name}")).await;
        let group = if name == "backend" { network.group.clone() } else { network.group(&endpoint, name, port).await };
        let target = ground::target_group(config, &network, &whole, health).await;
        ecs.state().add_service(&whole, 0);
        ecs.state().services.get_mut(&whole).unwrap().made = json!({
            "loadBalancers": [{"targetGroupArn": target, "containerName": name, "containerPort": port}],
        });
        let service = json!({
            "name": whole, "execution_role": format!("arn:aws:iam::{ACCOUNT}:role/streamify-prod-execution"),
            "task_role": format!("arn:aws:iam::{ACCOUNT}:role/{whole}"), "security_groups": [group],
            "target_group": target, "log_group": format!("/streamify/prod/{name}"), "container": name,
            "reaches_data": name == "backend",
        });
        services.insert(name.to_owned(), service);
    }
    // As RDS keeps the password of a database.
    let password = aws_sdk_secretsmanager::Client::new(config).create_secret().name("rds!db-1");
    let password = password.secret_string(json!({"username": "streamify", "password": SECRET}).to_string());
    let password = format!("{}:password::", password.send().await.unwrap().arn.unwrap());
    json!({
        "cluster": "streamify-prod", "subnets": network.subnets, "assign_public_ip": false,
        "deploys_table": "streamify-prod-deploys", "secrets": {"DATABASE_PASSWORD": password},
        "environment": {
            "DATABASE_HOST": "db.internal", "DATABASE_PORT": "5432", "DATABASE_NAME": "streamify",
            "DATABASE_USER": "streamify", "KAFKA_BROKERS": "kafka.internal:9098", "KAFKA_SECURITY": "msk-iam",
        },
        "services": services,
    })
}

#[test]
fn from_a_clean_state_to_a_deploy_that_is_live_and_back() {
    let stage = Stage::new();

    stage
        .story
        .chapter("Terraform has been at work, and nothing else: what is missing is named before anything is done.");
    let ran = stage.run("verify prod").ends_with(1);
    ran.says("neither of the stores has /streamify/prod/JWT_KEYS").says("✔ cluster  streamify-prod");
    let ran = stage.run("deploy prod").ends_with(1);
    ran.says("prod is not ready for a deploy").says("JWT_KEYS");
    assert!(!stage.ecs.state().calls.iter().any(|call| call.contains("Register") || call.contains("Update")));

    stage
        .story
        .chapter("Secrets: from a file, and a signing key by chance. No value is an argument, and none is shown.");
    stage.run("secrets import prod .env").ends_with(0);
    stage.run("secrets rotate prod --yes").ends_with(0);
    stage.run("secrets diff prod").ends_with(0);

    stage.story.chapter("What a deploy would do: it builds, and changes nothing.");
    let ran = stage.run("deploy prod --dry-run").ends_with(0);
    ran.says("register").says("environment.DATABASE_HOST").says("db.internal").says("secrets.DATABASE_PASSWORD");
    assert_eq!(stage.rollouts(BACKEND), 0);

    stage.story.chapter("The whole chain: verify, lock, images, migration, register, update, watch, record.");
    stage.run("deploy prod").ends_with(0).says("app: pushed").says("migrations").says("is live");
    let image = stage.ecs.state().image(BACKEND);
    assert!(image.contains("/streamify/app@sha256:"), "{image}");
    assert_eq!(stage.ecs.state().image(FRONTEND), image);
    let told = |service: &str| stage.ecs.state().variable(service, "KAFKA_BROKERS");
    assert_eq!((told(BACKEND).as_deref(), told(FRONTEND)), (Some("kafka.internal:9098"), None));
    stage.run("deploy prod").ends_with(0).says("nothing to do");

    stage.story.chapter("A migration that fails: no service is touched.");
    stage.change("1");
    stage.ecs.state().one_offs.push_back((1, vec!["error: column \"views\" already exists".into()]));
    let before = stage.rollouts(BACKEND);
    stage.run("deploy prod").ends_with(1).says("column \"views\" already exists");
    assert_eq!((stage.rollouts(BACKEND), stage.ecs.state().image(BACKEND)), (before, image.clone()));

    stage.story.chapter("A program that does not start: ECS takes it back, and its last lines say why.");
    let fails = Fate::Fails { code: 101, lines: vec!["starting".into(), "panic: KAFKA_BROKERS is not set".into()] };
    stage.destine(BACKEND, fails);
    let ran = stage.run("deploy prod").ends_with(5);
    ran.says("rolled back").says("panic: KAFKA_BROKERS is not set").says("3 tasks stopped");
    assert_eq!(stage.ecs.state().image(BACKEND), image);

    stage
        .story
        .chapter("Somebody else deploys: the second one hears who, and the first is taken back while it goes on.");
    stage.destine(BACKEND, Fate::Hangs);
    let going = stage.start("deploy prod --skip-migration");
    eventually("the rollout goes on", || stage.rollouts(BACKEND) > before + 1);
    stage.run("deploy prod").ends_with(1).says("prod is being deployed by anna@");
    // An operator's word to ECS, as its console would say it.
    stop_open_rollout(&stage);
    stage.ended(going).ends_with(5).says("rolled back");

    stage.story.chapter("A good version, and the way back from it.");
    stage.change("2");
    stage.run("deploy prod --skip-migration").ends_with(0);
    assert_ne!(stage.ecs.state().image(BACKEND), image);
    stage.run("rollback prod").ends_with(0);
    assert_eq!(stage.ecs.state().image(BACKEND), image);

    stage.story.chapter("Who deployed what, and what runs.");
    stage.run("history prod").ends_with(0).says("rolled back").says("anna@");
    stage.run("status prod").ends_with(0).says(BACKEND);
}

/// Asks ECS to roll back what goes on.
fn stop_open_rollout(stage: &Stage) {
    let mut state = stage.ecs.state();
    let rollout = state.services[BACKEND].rollouts.iter().find(|rollout| rollout.is_open()).unwrap().arn.clone();
    let request = json!({"serviceDeploymentArn": rollout, "stopType": "ROLLBACK"});
    assert!(state.answer("StopServiceDeployment", &request).is_ok());
}

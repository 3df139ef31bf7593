//! The whole of an environment, told as a story: this project's own roots from nothing to an app that is deployed onto
//! what Terraform made, and back to nothing. The provider is the real one; AWS is moto, with MiniStack for its registry
//! and alarms and the tests' own ECS for services. `make demo-infra` prints every command with what it says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::aws::provider;
use crate::deploy::world::{Ran, SECRET};
use crate::support::aws::{ACCOUNT, Emulator, Player, REGION, variables};
use crate::support::ecs::Ecs;
use crate::support::story::Story;

/// An AWS of several parts in which there is nothing, and a copy of the project.
struct Stage {
    story: Story,
    ecs: Ecs,
    moto: Emulator,
    _ministack: Emulator,
    name: &'static str,
}

impl Stage {
    fn new(name: &'static str) -> Self {
        // Of these, moto alone plays nearly everything that the roots ask, and MiniStack alone a registry.
        let (moto, ministack) = (Emulator::start(Player::Moto, &[]), Emulator::start(Player::MiniStack, &[]));
        let ecs = Ecs::in_front_of(&moto.endpoint(), &format!("streamify-{name}"), &moto.endpoint());
        let state = format!("streamify-terraform-state-{ACCOUNT}");
        let settings = format!(
            "  {name}:\n    state: {{bucket: {state}}}\n    variables:\n      github_repository: example/streamify\n      \
             protect: false\n      database: {{deletion_protection: false, final_snapshot: false}}\n"
        );
        let secrets =
            format!("DATABASE_URL=postgres://app:{SECRET}@db.internal/streamify\nKAFKA_BROKERS=kafka.internal:9098\n");
        let mut story = Story::new(|own| own.replace(&format!("  {name}:\n"), &settings), &secrets);
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&project.join("terraform"), &story.file("terraform"));
        for root in ["bootstrap", &format!("environments/{name}")] {
            let root = story.file("terraform").join(root);
            fs::copy(project.join("tests/infra/emulator_override.tf"), root.join("emulator_override.tf")).unwrap();
        }
        let backend = format!("terraform/environments/{name}/backend_override.tf");
        fs::copy(project.join("tests/infra/backend_override.tf"), story.file(&backend)).unwrap();

        story.variables = variables(&moto.endpoint());
        let own = [
            ("AWS_ENDPOINT_URL_ECS", ecs.endpoint()),
            ("AWS_ENDPOINT_URL_ECR", ministack.endpoint()),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", ministack.endpoint()),
            ("STREAMIFY_ECR_REGISTRY", format!("127.0.0.1:{}", ministack.port)),
            // The provider asks S3's control plane by a name that begins with the account's number.
            ("HTTP_PROXY", moto.endpoint()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("TF_CLI_CONFIG_FILE", provider()),
            ("XDG_CACHE_HOME", story.file("cache").display().to_string()),
            ("USER", "anna".to_owned()),
        ];
        story.variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Self { story, ecs, moto, _ministack: ministack, name }
    }

    /// Runs a command, in which `ENV` is the environment.
    fn run(&self, arguments: &str) -> Ran {
        let ran = self.story.run(&arguments.replace("ENV", self.name));
        assert_eq!(self.ecs.state().wrong, Vec::<String>::new());
        ran
    }

    /// Runs Terraform itself, for what is made once for all environments.
    fn terraform(&self, arguments: &str) {
        let mut command = Command::new("terraform");
        command.args(arguments.split(' '));
        self.story.ended(self.story.spawn(&format!("terraform {arguments}"), command)).ends_with(0);
    }

    fn json(&self, arguments: &str) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        command.args(arguments.replace("ENV", self.name).split(' ')).args(["--output", "json"]);
        command.current_dir(self.story.folder()).env_clear().envs(self.story.variables.iter().cloned());
        let output = command.output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// ARNs of everything that the project's tag is on.
    fn tagged(&self) -> Vec<String> {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/tagging/aws4_request");
        let answer = Command::new("curl")
            .args(["-sf", &self.moto.endpoint(), "-H", &format!("Authorization: {scope}")])
            .args(["-H", "X-Amz-Target: ResourceGroupsTaggingAPI_20170126.GetResources"])
            .args(["-d", r#"{"TagFilters": [{"Key": "Project", "Values": ["streamify"]}], "ResourcesPerPage": 100}"#])
            .output()
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
        let all = answer["ResourceTagMappingList"].as_array().unwrap();
        all.iter().map(|one| one["ResourceARN"].as_str().unwrap().to_owned()).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// From nothing to a live app, and back to nothing.
fn tell(name: &'static str) {
    let stage = Stage::new(name);
    let (story, services) = (&stage.story, format!("streamify-{name}-backend"));

    story.chapter("Once for an account: the bucket of Terraform's states, and that GitHub's tokens count.");
    stage.terraform("-chdir=terraform/bootstrap init -input=false");
    stage.terraform(&format!("-chdir=terraform/bootstrap apply -auto-approve -input=false -var=region={REGION}"));
    let before = stage.tagged();
    assert!(!before.is_empty());

    story.chapter("What Terraform is told follows from streamify.yaml.");
    stage.run("infra render ENV").ends_with(0);
    stage.run("infra render ENV --check").ends_with(0);

    story.chapter("From nothing.");
    stage.run("infra plan ENV").ends_with(0);
    stage.run("infra apply ENV").ends_with(0);
    assert!(stage.tagged().len() > before.len() + 20);

    story.chapter("A second plan has no change.");
    stage.run("infra plan ENV --exit-code").ends_with(0);

    story.chapter("The app is deployed onto what Terraform made.");
    stage.run("secrets import ENV .env").ends_with(0);
    stage.run("secrets rotate ENV --yes").ends_with(0);
    stage.run("deploy ENV").ends_with(0).says("is live");
    let image = stage.ecs.state().image(&services);
    assert!(image.contains("/streamify/app@sha256:"), "{image}");

    story.chapter("Terraform takes none of it for a change, and the deploy has changed nothing of Terraform's.");
    stage.run("infra plan ENV --exit-code").ends_with(0);
    stage.run("infra drift ENV --exit-code").ends_with(0);
    stage.run("deploy ENV").ends_with(0).says("nothing to do");
    assert_eq!(stage.ecs.state().image(&services), image);

    story.chapter("And back to nothing. What holds data has to be named.");
    stage.run("infra destroy ENV --yes").ends_with(1).says("--confirm-destroy");
    let plan = stage.json("infra plan ENV --destroy");
    let lost = plan["changes"].as_array().unwrap().iter().filter_map(|change| change["loses"].as_str());
    let names: Vec<String> = lost.map(|name| format!("--confirm-destroy {name}")).collect();
    stage.run(&format!("infra destroy ENV --yes {}", names.join(" "))).ends_with(0);
    assert_eq!(stage.tagged(), before);
    let state = stage.ecs.state();
    assert!(state.services.is_empty());
    assert!(state.definitions.values().flatten().all(|one| one["status"] != "ACTIVE"));
    drop(state);
    stage.run("infra destroy ENV").ends_with(0).says("nothing to do");

    story.chapter("What stays are the values that people have put there.");
    for secret in ["DATABASE_URL", "JWT_KEYS", "KAFKA_BROKERS"] {
        stage.run(&format!("secrets delete ENV {secret} --yes")).ends_with(0);
    }
}

#[test]
fn prod_from_nothing_and_back() {
    tell("prod");
}

#[test]
fn staging_from_nothing_and_back() {
    tell("staging");
}

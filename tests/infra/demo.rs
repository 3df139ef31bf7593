//! The whole of an environment, told as a story: this project's own roots from nothing to an app that is deployed onto
//! what Terraform made, and back to nothing. The provider is the real one; AWS is moto, with MiniStack for its registry
//! and alarms and the tests' own ECS for services. `make demo-infra` prints every command with what it says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::aws::provider;
use crate::deploy::world::{Ran, SECRET, runtime};
use crate::support::aws::{ACCOUNT, Emulator, Player, REGION, variables};
use crate::support::ecs::Ecs;
use crate::support::ground::query;
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
        let secrets = format!("JWT_KEYS=first:{SECRET}-{SECRET}\n");
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

    /// An operation of a service that speaks JSON.
    fn ask(&self, service: &str, target: &str, request: &Value) -> Value {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request");
        let answer = Command::new("curl")
            .args(["-sf", &self.moto.endpoint(), "-H", &format!("Authorization: {scope}")])
            .args(["-H", "Content-Type: application/x-amz-json-1.1"])
            .args(["-H", &format!("X-Amz-Target: {target}"), "-d", &request.to_string()])
            .output()
            .unwrap();
        serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{target}: {answer:?}"))
    }

    fn query(&self, service: &str, form: &str, element: &str) -> String {
        runtime().block_on(query(&self.moto.endpoint(), service, form, element))
    }

    /// What there is of the project, but for what AWS still tells of for a while: keys whose end is settled, NAT
    /// gateways and clusters that are gone.
    fn left(&self) -> BTreeSet<String> {
        let mut request = json!({"TagFilters": [{"Key": "Project", "Values": ["streamify"]}]});
        let mut left = BTreeSet::new();
        loop {
            let page = self.ask("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", &request);
            let arns = page["ResourceTagMappingList"].as_array().unwrap().iter().map(|one| one["ResourceARN"].as_str());
            left.extend(arns.map(|arn| arn.unwrap().to_owned()).filter(|arn| !self.is_ended(arn)));
            match page["PaginationToken"].as_str() {
                Some(token) if !token.is_empty() => request["PaginationToken"] = token.into(),
                _ => break,
            }
        }
        // What the tagging of this emulator does not know.
        let groups = self.ask("logs", "Logs_20140328.DescribeLogGroups", &json!({}));
        left.extend(groups["logGroups"].as_array().unwrap().iter().map(|one| one["arn"].to_string()));
        let tables = self.ask("dynamodb", "DynamoDB_20120810.ListTables", &json!({}));
        left.extend(tables["TableNames"].as_array().unwrap().iter().map(|one| format!("table {one}")));
        let secrets = self.ask("secretsmanager", "secretsmanager.ListSecrets", &json!({}));
        left.extend(secrets["SecretList"].as_array().unwrap().iter().map(|one| one["ARN"].to_string()));
        let roles = self.query("iam", "Action=ListRoles&Version=2010-05-08", "Roles");
        left.extend(roles.split(' ').filter(|word| word.contains("role/streamify")).map(str::to_owned));
        left.insert(self.query("rds", "Action=DescribeDBInstances&Version=2014-10-31", "DBInstances"));
        left
    }

    fn is_ended(&self, arn: &str) -> bool {
        let id = arn.rsplit('/').next().unwrap();
        match arn.split(':').nth(2).unwrap() {
            "kms" => {
                let key = self.ask("kms", "TrentService.DescribeKey", &json!({"KeyId": id}));
                key["KeyMetadata"]["KeyState"] == "PendingDeletion"
            }
            "ecs" if arn.contains(":cluster/") => {
                let target = "AmazonEC2ContainerServiceV20141113.DescribeClusters";
                self.ask("ecs", target, &json!({"clusters": [id]}))["clusters"][0]["status"] == "INACTIVE"
            }
            "ec2" if arn.contains(":natgateway/") => {
                let form = format!("Action=DescribeNatGateways&Version=2016-11-15&NatGatewayId.1={id}");
                self.query("ec2", &form, "state") == "deleted"
            }
            _ => false,
        }
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
    let before = stage.left();
    assert!(before.iter().any(|arn| arn.contains("terraform-state")), "{before:?}");

    story.chapter("What Terraform is told follows from streamify.yaml.");
    stage.run("infra render ENV").ends_with(0);
    stage.run("infra render ENV --check").ends_with(0);

    story.chapter("From nothing.");
    stage.run("infra plan ENV").ends_with(0);
    stage.run("infra apply ENV").ends_with(0);
    assert!(stage.left().len() > before.len() + 40);

    story.chapter("A second plan has no change.");
    stage.run("infra plan ENV --exit-code").ends_with(0);

    story.chapter("The app is deployed onto what Terraform made.");
    stage.run("secrets import ENV .env").ends_with(0);
    stage.run("secrets rotate ENV --yes").ends_with(0);
    stage.run("deploy ENV").ends_with(0).says("is live");
    let image = stage.ecs.state().image(&services);
    assert!(image.contains("/streamify/app@sha256:"), "{image}");
    let told = |service: &str| stage.ecs.state().variable(&format!("streamify-{name}-{service}"), "KAFKA_SECURITY");
    assert_eq!((told("backend").as_deref(), told("frontend")), (Some("msk-iam"), None));

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
    assert_eq!(stage.left(), before);
    let state = stage.ecs.state();
    assert!(state.services.is_empty());
    assert!(state.definitions.values().flatten().all(|one| one["status"] != "ACTIVE"));
    drop(state);
    stage.run("infra destroy ENV").ends_with(0).says("nothing to do");

    story.chapter("What stays is the value that a person has put there.");
    stage.run("secrets delete ENV JWT_KEYS --yes").ends_with(0);
}

#[test]
fn prod_from_nothing_and_back() {
    tell("prod");
}

#[test]
fn staging_from_nothing_and_back() {
    tell("staging");
}

//! `streamify verify` on moto, whose AWS is the widest.

use std::fs;
use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_sdk_ecs::types::{ContainerDefinition, LaunchType, LoadBalancer};
use serde_json::{Value, json};

use super::Project;
use super::proxy::{Answer, Proxy};
use crate::support::aws::{ACCOUNT, Emulator, Player, REGION, ministack};
use crate::support::ground::{self, Network, clients};
use crate::support::postgres;

/// A cluster, and a service in it with an image and perhaps a target group.
pub async fn service(config: &SdkConfig, cluster: &str, name: &str, target: Option<(&str, &str, i32)>) {
    let client = aws_sdk_ecs::Client::new(config);
    client.create_cluster().cluster_name(cluster).send().await.unwrap();
    let image = target.map_or("public.ecr.aws/docker/library/busybox:1", |(_, image, _)| image);
    let container = ContainerDefinition::builder().name("backend").image(image).memory(128).essential(true).build();
    let definition = client.register_task_definition().family(name).container_definitions(container);
    definition.send().await.unwrap();
    let mut call = client.create_service().cluster(cluster).service_name(name).task_definition(name).desired_count(2);
    if let Some((arn, _, port)) = target {
        let entry = LoadBalancer::builder().target_group_arn(arn).container_name("backend").container_port(port);
        call = call.load_balancers(entry.build());
    }
    call.launch_type(LaunchType::Fargate).send().await.unwrap();
}

const IMAGE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cinema/app:v1";

/// Makes what Terraform would make, and gives its output.
async fn made(config: &SdkConfig, endpoint: &str) -> Value {
    let network = Network::make(endpoint).await;
    for (name, who) in [("execution", "ecs-tasks"), ("task", "ecs-tasks"), ("stranger", "ec2")] {
        ground::role(endpoint, name, who).await;
    }
    let target = ground::target_group(config, &network, "backend", "/health/ready").await;
    ground::log_group(config, "/cinema/backend").await;
    let images = aws_sdk_ecr::Client::new(config);
    images.create_repository().repository_name("cinema/app").send().await.unwrap();
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let entry = |architecture: &str, letter: &str| {
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(letter), "size": 2,
                "platform": { "os": "linux", "architecture": architecture } })
    };
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                        "manifests": [entry("amd64", "a")] });
    let single = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
                         "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest("b"), "size": 2 } });
    let put = images.put_image().repository_name("cinema/app").image_tag("single").image_manifest(single.to_string());
    put.image_manifest_media_type("application/vnd.oci.image.manifest.v1+json").send().await.unwrap();
    let put = images.put_image().repository_name("cinema/app").image_tag("v1").image_manifest(index.to_string());
    put.image_manifest_media_type("application/vnd.oci.image.index.v1+json").send().await.unwrap();
    let manager = aws_sdk_secretsmanager::Client::new(config);
    let secret = async |name: &str| {
        let made = manager.create_secret().name(name).secret_string(r#"{"password":"verify-3b3b"}"#).send().await;
        made.unwrap().arn.unwrap()
    };
    secret("/cinema/prod/database").await;
    let root = secret("made-by-terraform").await;
    service(config, "cinema", "cinema-backend", Some((&target, IMAGE, 3001))).await;
    json!({
        "cluster": "cinema", "subnets": network.subnets, "assign_public_ip": false, "deploys_table": "deploys",
        "secrets": { "ROOT": root },
        "services": { "backend": {
            "name": "cinema-backend", "execution_role": format!("arn:aws:iam::{ACCOUNT}:role/execution"),
            "task_role": format!("arn:aws:iam::{ACCOUNT}:role/task"), "security_groups": [network.group],
            "target_group": target, "log_group": "/cinema/backend",
        } },
    })
}

fn configuration(service: &str) -> String {
    format!(
        "name: cinema\nservices:\n  backend: {service}\n\
         environments:\n  prod: {{region: {REGION}, account: '{ACCOUNT}'}}\n"
    )
}

/// Every single check as `group/…/name`, with its verdict and reasons.
fn flat(checks: &Value, place: &str, found: &mut Vec<(String, String, String)>) {
    for check in checks.as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = format!("{place}/{}", text(&check["name"]));
        if check["checks"].is_array() {
            flat(&check["checks"], &place, found);
        } else {
            let reasons: Vec<String> = check["reasons"].as_array().into_iter().flatten().map(text).collect();
            found.push((place, text(&check["verdict"]), reasons.join(" | ")));
        }
    }
}

/// The checks that failed.
fn failed(project: &Project, arguments: &[&str]) -> (i32, Vec<(String, String)>, String) {
    let base = ["verify", "prod", "--outputs", "outputs.json", "--output", "json"];
    let ran = project.run(&[&base, arguments].concat());
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
    let mut all = Vec::new();
    flat(&told["checks"], "", &mut all);
    let shown = format!("{all:#?}");
    assert_eq!(told["failed"], all.iter().filter(|(_, verdict, _)| verdict == "failed").count());
    let failed = all.into_iter().filter(|(_, verdict, _)| verdict == "failed");
    (ran.code, failed.map(|(place, _, why)| (place, why)).collect(), shown)
}

/// An AWS in which Terraform has been at work.
struct Ground {
    endpoint: String,
    outputs: Value,
    _emulator: Emulator,
}

/// A service that fits to it.
const RIGHT: &str = "{port: 3001, health_path: /health/ready, replicas: 2, \
                     secrets: {TOKEN: TOKEN, PASSWORD: 'database:password', ROOT: 'root:password'}}";

impl Ground {
    /// One for all tests: none of them changes it.
    fn get() -> &'static Self {
        static GROUND: OnceLock<Ground> = OnceLock::new();
        GROUND.get_or_init(|| {
            let emulator = Emulator::start(Player::Moto, &[]);
            let endpoint = emulator.endpoint();
            let config = clients(&endpoint);
            let outputs = tokio::runtime::Runtime::new().unwrap().block_on(made(&config, &endpoint));
            let ground = Self { endpoint, outputs, _emulator: emulator };
            let ran = ground.project(RIGHT).run_with(&["secrets", "set", "prod", "TOKEN"], "verify-3b3b");
            assert_eq!(ran.code, 0, "{}", ran.err);
            ground
        })
    }

    fn project(&self, service: &str) -> Project {
        project_at(&self.endpoint, service, &self.outputs)
    }
}

/// A project with these outputs of Terraform.
fn project_at(endpoint: &str, service: &str, outputs: &Value) -> Project {
    let project = Project::new(endpoint, &configuration(service));
    fs::write(project.folder.path().join("outputs.json"), outputs.to_string()).unwrap();
    project
}

/// That a check at this place failed for this reason.
fn has((_, wrong, all): &(i32, Vec<(String, String)>, String), place: &str, why: &str) {
    let found = wrong.iter().any(|(at, reasons)| at.starts_with(place) && reasons.contains(why));
    assert!(found, "{place}: {why} in {all}");
}

#[test]
fn everything_that_a_deploy_depends_on_is_checked() {
    let project = Ground::get().project(RIGHT);
    let (code, wrong, all) = failed(&project, &[]);
    assert_eq!((code, wrong), (0, Vec::new()), "{all}");
    for seen in [
        "cluster",
        "services/backend/in the cluster",
        "services/backend/registered",
        "roles/execution",
        "secrets/backend.TOKEN",
        "network/subnets/zones",
        "log groups//cinema/backend",
    ] {
        assert!(all.contains(&format!("\"/{seen}\",\n        \"ok\"")), "{seen} in {all}");
    }
    assert!(all.contains("\"linux/amd64\""), "{all}");
    assert!(all.contains("DATABASE_URL is not set here"), "{all}");

    // The same for people, and nothing was changed by looking.
    let human = project.good(&["verify", "prod", "--outputs", "outputs.json"]);
    let filters = [
        (r"subnet-[0-9a-f]{8,}", "subnet-ID"),
        (r"sg-[0-9a-f]{8,}", "sg-ID"),
        (r"/\S*/outputs.json", "FOLDER/outputs.json"),
        (r"arn:aws:secretsmanager:[^:]*:\d*:secret:made-by-terraform-\w*", "ARN"),
    ];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!(human, @r"
        ✔ credentials  account 123456789012, arn:aws:sts::123456789012:user/moto
        ✔ terraform  FOLDER/outputs.json: backend
        ✔ cluster  cinema
        ✔ services
          ✔ backend
            ✔ in the cluster  cinema-backend: 2 of 2 run
            ✔ registered  backend:3001
            ✔ target group backend  HTTP, health /health/ready
        ✔ images
          ✔ 123456789012.dkr.ecr.eu-west-1.amazonaws.com/cinema/app:v1 (backend)  linux/amd64
        ✔ roles
          ✔ execution  for backend's execution
          ✔ task  for backend's tasks
        ✔ secrets
          ✔ backend.PASSWORD  database:password in Secrets Manager
          ✔ backend.ROOT  ARN:password in Secrets Manager
          ✔ backend.TOKEN  TOKEN in the parameter store
        ✔ network
          ✔ subnets
            ✔ subnet-ID  eu-west-1a, 251 addresses free
            ✔ subnet-ID  eu-west-1b, 251 addresses free
            ✔ addresses  502 are free, up to 4 needed
            ✔ zones  eu-west-1a, eu-west-1b
          ✔ security groups
            ✔ backend  sg-ID lets in port 3001
        ✔ log groups
          ✔ /cinema/backend  kept for ever
              hint: A retention in Terraform keeps its price from growing.
        – quota  skipped: can't ask for Fargate's quota: NoSuchResourceException: This service is not available in the current Region. Choose a different Region or a different service.
        – migrations  skipped: DATABASE_URL is not set here; the deploy runs what is pending before services change
        18 ok, 0 failed, 2 skipped
        ");
    });
    assert_eq!(project.json(&["secrets", "history", "prod", "TOKEN"])["versions"].as_array().unwrap().len(), 1);
    project.never_printed(&["verify-3b3b"]);
}

#[test]
fn quota_platform_and_migrations_are_checked_where_they_can_be_seen() {
    let ground = Ground::get();
    let database = tokio::runtime::Runtime::new().unwrap().block_on(postgres::database());
    // What moto has no answer for comes from a proxy, in the form that the service's model has.
    let answer = |operation, body: Value| Answer { operation, after: 0, times: 9, status: 200, body: body.to_string() };
    let through = |processors: f64, architecture: &str| {
        let proxy = Proxy::start(
            &ground.endpoint,
            vec![
                answer("GetServiceQuota", json!({ "Quota": { "ServiceCode": "fargate", "Value": processors } })),
                answer("/config", json!({ "os": "linux", "architecture": architecture })),
            ],
        );
        let url = json!({ "downloadUrl": format!("{}/config", proxy.endpoint), "layerDigest": "sha256:0" });
        proxy.answer(answer("GetDownloadUrlForLayer", url));
        let mut project = project_at(&proxy.endpoint, RIGHT, &ground.outputs);
        project.variable("DATABASE_URL", Some(&database));
        let image = format!("app={}", IMAGE.replace(":v1", ":single"));
        let found = failed(&project, &["--image", &image]);
        for change in ["Put", "Create", "Delete", "Update", "Register", "Modify"] {
            assert_eq!(proxy.calls(change), 0, "{change}");
        }
        found
    };
    let (code, wrong, all) = through(100.0, "amd64");
    assert_eq!((code, wrong), (0, Vec::new()), "{all}");
    assert!(all.contains("up to 1 of 100 processors"), "{all}");
    assert!(all.contains("none is pending in the database of DATABASE_URL"), "{all}");
    let (code, wrong, all) = through(0.5, "arm64");
    assert_eq!((code, wrong.len()), (1, 2), "{all}");
    assert!(all.contains("it is for linux/arm64, and tasks run on linux/amd64"), "{all}");
    assert!(all.contains("a rollout needs up to 1 processors, and the account may run 0.5"), "{all}");
}

#[test]
fn what_streamify_yaml_says_otherwise_is_found() {
    let other = "{port: 4000, health_path: /alive, replicas: 300, architecture: arm64, \
                 secrets: {TOKEN: 'TOKEN:key', NEW: NEW, PASSWORD: 'database:user'}}";
    let found = failed(&Ground::get().project(other), &[]);
    assert_eq!(found.0, 1);
    has(&found, "/services/backend/registered", "the load balancer sends to port 3001");
    has(
        &found,
        "/services/backend/target group backend",
        "it asks /health/ready for health; streamify.yaml says /alive",
    );
    has(&found, "/images/", "it is for linux/amd64, and tasks run on linux/arm64");
    has(&found, "/secrets/backend.TOKEN", "ECS takes keys from Secrets Manager only");
    has(&found, "/secrets/backend.PASSWORD", "the secret database has no key `user` | its keys are password");
    has(&found, "/secrets/backend.NEW", "neither of the stores has /cinema/prod/NEW");
    has(&found, "/network/subnets/addresses", "a rollout of 300 tasks needs up to 600");
    has(&found, "/network/security groups/backend", "the load balancer may not reach port 4000");
}

#[test]
fn what_terraform_says_otherwise_is_found() {
    let ground = Ground::get();
    let mut other = ground.outputs.clone();
    other["subnets"][1] = "subnet-gone".into();
    let backend = &mut other["services"]["backend"];
    backend["task_role"] = format!("arn:aws:iam::{ACCOUNT}:role/stranger").into();
    backend["execution_role"] = format!("arn:aws:iam::{ACCOUNT}:role/gone").into();
    backend["log_group"] = "/cinema/gone".into();
    backend["container"] = "web".into();
    other["services"]["worker"] = ground.outputs["services"]["backend"].clone();
    other["services"]["worker"]["name"] = "cinema-worker".into();
    let image = "app=123456789012.dkr.ecr.eu-west-1.amazonaws.com/cinema/app:v9";
    let found = failed(&project_at(&ground.endpoint, RIGHT, &other), &["--image", image]);
    has(&found, "/terraform", "streamify.yaml does not know `worker`");
    has(&found, "/services/backend/registered", "the load balancer sends to the container `backend`");
    has(&found, "/images/", "there is no image v9 in cinema/app");
    has(&found, "/roles/stranger", "its trust policy does not allow sts:AssumeRole to ecs-tasks.amazonaws.com");
    has(&found, "/roles/gone", "it is not there (NoSuchEntity)");
    has(&found, "/log groups//cinema/gone", "there is no such log group");
    has(&found, "/network/subnets/subnet-gone", "there is no subnet subnet-gone");

    other["cluster"] = "gone".into();
    let found = failed(&project_at(&ground.endpoint, RIGHT, &other), &[]);
    has(&found, "/cluster", "there is no cluster gone");
}

#[test]
fn what_cannot_be_looked_at_is_skipped_with_its_reason() {
    let endpoint = ministack().endpoint();
    let project = Project::new(&endpoint, &configuration("{secrets: {TOKEN: absent}}"));
    let ran = project.run(&["verify", "prod"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("✘ terraform  there is no Terraform root for the environment `prod`"), "{}", ran.out);
    assert!(ran.out.contains("everything else in AWS  skipped: Terraform's outputs are not known"), "{}", ran.out);
    assert!(ran.out.contains("neither of the stores has /cinema/prod/absent"), "{}", ran.out);

    let other = configuration("{}").replace(ACCOUNT, "999999999999");
    fs::write(project.folder.path().join("streamify.yaml"), other).unwrap();
    let ran = project.run(&["verify", "prod"]);
    assert!(ran.out.contains("✘ credentials  these credentials are for the AWS account"), "{}", ran.out);
    assert!(ran.out.contains("everything in AWS  skipped: there are no credentials for it"), "{}", ran.out);
    let unknown = project.run(&["verify", "prod", "--image", "web=x"]);
    assert!(unknown.code == 2 && unknown.err.contains("there is no image `web`"), "{}", unknown.err);
}

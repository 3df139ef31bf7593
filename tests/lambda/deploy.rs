//! `streamify deploy` with the target lambda, onto functions that MiniStack runs: the real program, uploaded as a zip
//! file and started from it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{self, client};
use crate::deploy::world::Ran;
use crate::support::aws::{ACCOUNT, REGION, ministack, variables};
use crate::support::kafka::{Broker, Kind};
use crate::support::postgres::unmigrated_database;
use crate::support::process::{eventually, folder};

struct World {
    folder: TempDir,
    own: String,
    database: String,
    http: Client,
}

/// Steps without minutes between them: every look is taken, and none is waited for.
const FILE: &str = "\
name: cinema
images: {app: {binary: program}}
environments:
  prod:
    account: '123456789012'
    region: eu-west-1
    target: lambda
    deploy: {strategy: canary, step_percent: 25, step_minutes: 0, bake_minutes: 0}
";

/// The program as it is deployed: without what only debuggers read.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PROGRAM.get_or_init(|| {
        let folder = folder();
        let path = folder.path().join("program");
        let stripped = Command::new("strip").arg("-o").arg(&path).arg(env!("CARGO_BIN_EXE_streamify")).status();
        assert!(stripped.unwrap().success());
        (folder, path)
    });
    path
}

impl World {
    async fn new(file: &str) -> Self {
        let broker = tokio::task::spawn_blocking(|| Broker::shared(Kind::Kraft)).await.unwrap();
        tokio::task::spawn_blocking(|| (ministack().port, program())).await.unwrap();
        let folder = folder();
        let own = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_lowercase();
        let database = unmigrated_database().await;
        std::fs::write(folder.path().join("streamify.yaml"), file).unwrap();
        std::fs::write(folder.path().join("functions.yaml"), format!("kafka: {{topic: {own}}}\n")).unwrap();
        let world = Self { folder, own, database, http: Client::new() };
        world::make_table(&world.name("deploys")).await;
        world::make_table(&world.name("connections")).await;
        let (keys, url) = world::secrets(&world.own, &world.database).await;
        let environment = json!({
            "STREAMIFY_CONFIG": world.folder.path().join("functions.yaml"),
            "STREAMIFY_SECRET_JWT_KEYS": keys, "STREAMIFY_SECRET_DATABASE_URL": format!("{url}:url::"),
            "KAFKA_BROKERS": broker.address(), "STREAMIFY_CONNECTIONS_TABLE": world.name("connections"),
            "AWS_ENDPOINT_URL": ministack().endpoint(),
        });
        for role in ["http", "events"] {
            world.make_function(role, &environment).await;
        }
        let place = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{REGION}\
             </LocationConstraint></CreateBucketConfiguration>"
        );
        let (status, text) = world.call("s3", Method::PUT, &format!("/{}", world.name("page")), Some(place)).await;
        assert_eq!(status, 200, "{text}");
        let outputs = json!({
            "deploys_table": world.name("deploys"),
            "lambda": {
                "functions": {"http": world.name("http"), "events": world.name("events")}, "alias": "live",
                "page_bucket": world.name("page"), "distribution": world.make_distribution().await,
                "api_url": "https://api.example.com", "websocket_url": "wss://ws.example.com/prod",
            },
        });
        std::fs::write(world.folder.path().join("outputs.json"), outputs.to_string()).unwrap();
        world.program("");
        world
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.own)
    }

    /// A program like the real one, and another one for each `letter`: what follows the end of an ELF file is not read.
    fn program(&self, letter: &str) {
        let mut data = std::fs::read(program()).unwrap();
        data.extend_from_slice(letter.as_bytes());
        std::fs::write(self.folder.path().join("program"), data).unwrap();
    }

    /// Asks the emulator; signatures are not looked at, but say which service is meant.
    async fn call(&self, service: &str, method: Method, path: &str, body: Option<String>) -> (u16, String) {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=x"
        );
        let request = self.http.request(method, format!("{}{path}", ministack().endpoint()));
        let answer = request.header("authorization", scope).body(body.unwrap_or_default()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap())
    }

    async fn lambda(&self, method: Method, path: &str, body: Value) -> Value {
        let path = format!("/2015-03-31/functions{path}");
        let (status, text) = self.call("lambda", method, &path, Some(body.to_string())).await;
        assert!(status < 300, "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A function as Terraform makes it: a program that does nothing, version 1, and the alias on it.
    async fn make_function(&self, role: &str, environment: &Value) {
        let mut environment = environment.clone();
        environment["STREAMIFY_LAMBDA"] = role.into();
        let name = self.name(role);
        let function = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 60, "MemorySize": 512,
            "Role": format!("arn:aws:iam::{ACCOUNT}:role/functions"), "Architectures": ["x86_64"], "PackageType": "Zip",
            "Code": {"ZipFile": PLACEHOLDER}, "Environment": {"Variables": environment}, "Publish": true,
        });
        self.lambda(Method::POST, "", function).await;
        self.lambda(Method::POST, &format!("/{name}/aliases"), json!({"Name": "live", "FunctionVersion": "1"})).await;
    }

    async fn make_distribution(&self) -> String {
        let text = format!(
            "<DistributionConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><CallerReference>{}</CallerReference>\
             <Comment></Comment><Enabled>true</Enabled><Origins><Quantity>1</Quantity><Items><Origin><Id>page</Id>\
             <DomainName>page.s3.amazonaws.com</DomainName><S3OriginConfig><OriginAccessIdentity></OriginAccessIdentity>\
             </S3OriginConfig></Origin></Items></Origins><DefaultCacheBehavior><TargetOriginId>page</TargetOriginId>\
             <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy></DefaultCacheBehavior></DistributionConfig>",
            self.own
        );
        let (status, text) = self.call("cloudfront", Method::POST, "/2020-05-31/distribution", Some(text)).await;
        assert_eq!(status, 201, "{text}");
        text.split_once("<Id>").unwrap().1.split_once("</Id>").unwrap().0.to_owned()
    }

    /// The version that the alias names, and the weights of others.
    async fn live(&self, role: &str) -> (String, Value) {
        let alias = self.lambda(Method::GET, &format!("/{}/aliases/live", self.name(role)), json!({})).await;
        let weights = alias["RoutingConfig"]["AdditionalVersionWeights"].clone();
        (alias["FunctionVersion"].as_str().unwrap().to_owned(), weights)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        command.args(arguments).args(["--outputs", "outputs.json"]).current_dir(self.folder.path()).env_clear();
        let more = [("STREAMIFY_LEASE_SECONDS", "4"), ("AWS_MAX_ATTEMPTS", "4"), ("USER", "anna")];
        command.envs(variables(&ministack().endpoint())).envs(more).stdin(Stdio::null());
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        Ran::of(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
    }

    async fn history(&self) -> Value {
        self.run(&["history", "prod", "--output", "json"]).await.ends_with(0).json()
    }

    /// Counts invocations and errors of a version, as Lambda would.
    async fn count(&self, role: &str, version: &str, errors: f64) {
        let name = self.name(role);
        // A deploy counts from the minute of its shift on: it must not be the next one already.
        let soon = aws_smithy_types::DateTime::from(std::time::SystemTime::now() + Duration::from_secs(45));
        for (metric, value) in [("Errors", errors), ("Invocations", errors * 2.0)] {
            let dimension = |name: &str, value: &str| {
                aws_sdk_cloudwatch::types::Dimension::builder().name(name).value(value).build()
            };
            let datum = aws_sdk_cloudwatch::types::MetricDatum::builder()
                .metric_name(metric)
                .dimensions(dimension("FunctionName", &name))
                .dimensions(dimension("Resource", &format!("{name}:live")))
                .dimensions(dimension("ExecutedVersion", version))
                .value(value)
                .timestamp(soon)
                .build();
            let put = client!(aws_sdk_cloudwatch).put_metric_data().namespace("AWS/Lambda").metric_data(datum);
            put.send().await.unwrap();
        }
    }
}

/// A zip file with an empty `bootstrap`, in base64.
const PLACEHOLDER: &str = "UEsDBBQAAAAAAAAAIQAAAAAAAAAAAAAAAAAJAAAAYm9vdHN0cmFwUEsBAhQDFAAAAAAAAAAhAAAAAAAAAAAAAAAAAAkAAAAAAAAAAAAAAO2BAAAAAGJvb3RzdHJhcFBLBQYAAAAAAQABADcAAAAnAAAAAAA=";

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_uploads_migrates_starts_shifts_and_a_second_one_has_nothing_to_do() {
    let world = World::new(FILE).await;
    let ran = world.run(&["deploy", "prod", "--dry-run"]).await.ends_with(0);
    let ran = ran.says("1. upload").says("shift").says("25 %, then 100 %").says("migrate");
    assert_eq!(world.live("http").await.0, "1", "{ran:?}");

    let ran = world.run(&["deploy", "prod", "--output", "json"]).await.ends_with(0);
    let story = ran.json();
    let stages: Vec<&str> =
        story["record"]["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    let page = if streamify_backend::page_files().is_empty() { None } else { Some("page") };
    let before = ["package", "verify", "lock", "plan", "upload", "migrations", "check", "shift"];
    assert_eq!(stages, before.into_iter().chain(page).chain(["record"]).collect::<Vec<_>>());
    for role in ["http", "events"] {
        assert_eq!(world.live(role).await, ("2".to_owned(), Value::Null), "{role}");
    }
    let ran = ran.says("25 % of the traffic").says("applied");
    // The new version itself brought the database up to date, and then was ready.
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&world.database).await.unwrap();
    let tables: i64 = sqlx::query_scalar("select count(*) from videos").fetch_one(&mut connection).await.unwrap();
    assert_eq!(tables, 0, "{ran:?}");

    if page.is_some() {
        let bucket = world.name("page");
        let object = |key: &str| world.http.get(format!("{}/{bucket}/{key}", ministack().endpoint())).send();
        let header =
            |answer: &reqwest::Response, name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let index = object("index.html").await.unwrap();
        assert_eq!((index.status().as_u16(), header(&index, "cache-control")), (200, "no-cache".to_owned()));
        assert_eq!(header(&index, "content-type"), "text/html; charset=utf-8");
        let config: Value = object("config.json").await.unwrap().json().await.unwrap();
        assert_eq!(
            config,
            json!({"api_base": "https://api.example.com", "websocket_url": "wss://ws.example.com/prod"})
        );
        let hashed = streamify_backend::page_files().into_iter().find(|file| file.name.starts_with("_nuxt/")).unwrap();
        let script = object(&hashed.name).await.unwrap();
        assert_eq!(header(&script, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(script.bytes().await.unwrap().as_ref(), hashed.data.as_ref());
        let ran = world.run(&["history", "prod", "--limit", "1"]).await.ends_with(0);
        ran.says("program").says("succeeded");
    }

    let again = world.run(&["deploy", "prod", "--output", "json"]).await.ends_with(0);
    assert_eq!(again.json()["changed"], false, "{again:?}");
    world.run(&["diff", "prod", "--exit-code"]).await.ends_with(0).says("nothing to do");
    assert_eq!(world.history().await.as_array().unwrap().len(), 1);
    let status = world.run(&["status", "prod", "--output", "json"]).await.ends_with(0).json();
    assert_eq!(status["functions"]["http"]["version"], "2");
    assert_eq!(status["last"]["ending"], "succeeded");

    // What Terraform changes of a function is live only in a new version.
    let path = format!("/{}/configuration", world.name("http"));
    world.lambda(Method::PUT, &path, json!({"MemorySize": 1024})).await;
    world.run(&["diff", "prod", "--exit-code"]).await.ends_with(3).says("~ memorySize  512 → 1024");
    world.run(&["deploy", "prod"]).await.ends_with(0).says("publish");
    assert_eq!((world.live("http").await.0.as_str(), world.live("events").await.0.as_str()), ("3", "2"));
    world.run(&["deploy", "prod", "--image", "app=a"]).await.ends_with(2).says("--image");
    world.run(&["scale", "prod", "http=2"]).await.ends_with(2).says("AWS Lambda");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_start_gets_no_traffic_and_what_fails_is_taken_back() {
    let world = World::new(FILE).await;
    std::fs::copy("/bin/busybox", world.folder.path().join("program")).unwrap();
    let ran = world.run(&["deploy", "prod", "--skip-migration"]).await.ends_with(1);
    ran.says("is not ready").says("no traffic was shifted");
    assert_eq!(world.live("http").await, ("1".to_owned(), Value::Null));
    assert_eq!(world.history().await[0]["ending"], "failed");

    // The second version is that of busybox; the third one fails half of its invocations.
    world.program("a");
    world.count("http", "3", 7.0).await;
    let ran = world.run(&["deploy", "prod"]).await.ends_with(5);
    ran.says("7 of 14 invocations of").says("rolled back");
    for role in ["http", "events"] {
        assert_eq!(world.live(role).await, ("1".to_owned(), Value::Null), "{role}");
    }
    assert_eq!(world.history().await[0]["ending"], "rolled_back");
    // Whoever knows better says so.
    world.run(&["deploy", "prod", "--rollback-on", "alarm"]).await.ends_with(0);
    assert_eq!(world.live("http").await, ("3".to_owned(), Value::Null));

    world.program("b");
    world.run(&["deploy", "prod"]).await.ends_with(0);
    assert_eq!(world.live("http").await.0, "4");
    let ran = world.run(&["rollback", "prod"]).await.ends_with(0);
    ran.says(":4 → ").says("back to deploy 3");
    assert_eq!(world.live("http").await, ("3".to_owned(), Value::Null));
    let history = world.history().await;
    assert_eq!((&history[0]["purpose"], &history[0]["target"]), (&json!("rollback"), &json!(3)));
    assert_eq!(history[1]["taken_back_by"], 5);
    world.run(&["rollback", "prod", "--to", "2"]).await.ends_with(2).says("nothing to come back to");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_that_was_cut_short_is_finished_taken_back_or_overtaken() {
    // A minute between the steps: time to do something meanwhile.
    let world = World::new(&FILE.replace("step_minutes: 0", "step_minutes: 1")).await;
    let start = || {
        let mut command = world.command(&["deploy", "prod"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let shifting = |role: &'static str| {
        let endpoint = format!("{}/2015-03-31/functions/{}/aliases/live", ministack().endpoint(), world.name(role));
        tokio::task::spawn_blocking(move || {
            let client = reqwest_blocking(&endpoint);
            eventually("a part of the traffic is shifted", || client().contains("AdditionalVersionWeights"));
        })
    };
    let id = |child: &std::process::Child| Pid::from_raw(i32::try_from(child.id()).unwrap());
    let wait =
        |child: std::process::Child| tokio::task::spawn_blocking(move || Ran::of(&child.wait_with_output().unwrap()));

    // Ctrl-C: nothing stays half done.
    let child = start();
    shifting("http").await.unwrap();
    kill(id(&child), Signal::SIGINT).unwrap();
    wait(child).await.unwrap().ends_with(130).says("back on the version before");
    assert_eq!(world.live("http").await, ("1".to_owned(), Value::Null));

    // A rollback of somebody else takes it back at once, and the deploy sees it.
    let child = start();
    shifting("http").await.unwrap();
    let deploy = wait(child);
    // There is no deploy yet that was good: what goes on is taken back, and nothing else is to be done.
    world.run(&["rollback", "prod"]).await.ends_with(0).says("rolled back");
    deploy.await.unwrap().ends_with(7).says("somebody else has changed the alias");
    assert_eq!(world.live("http").await, ("1".to_owned(), Value::Null));

    // Killed: the next one says what was left, and finishes it.
    let child = start();
    shifting("http").await.unwrap();
    kill(id(&child), Signal::SIGKILL).unwrap();
    let killed = wait(child).await.unwrap();
    assert_eq!(killed.code, None);
    assert_eq!(world.live("http").await.1, json!({"2": 0.25}));
    let status = world.run(&["status", "prod"]).await.ends_with(0);
    status.says("75 %, 25 % version 2");
    std::fs::write(world.folder.path().join("streamify.yaml"), FILE).unwrap();
    let mut command = world.command(&["deploy", "prod", "--wait", "1"]);
    let ran = tokio::task::spawn_blocking(move || Ran::of(&command.output().unwrap())).await.unwrap();
    ran.ends_with(0).says("had been left alone");
    assert_eq!(world.live("http").await, ("2".to_owned(), Value::Null));
    assert_eq!(world.live("events").await, ("2".to_owned(), Value::Null));
}

/// Asks again and again, from a thread without a runtime.
fn reqwest_blocking(endpoint: &str) -> impl Fn() -> String {
    let endpoint = endpoint.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/lambda/aws4_request, SignedHeaders=host, Signature=x"
    );
    move || {
        runtime.block_on(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let request = Client::new().get(&endpoint).header("authorization", &scope);
            request.send().await.unwrap().text().await.unwrap()
        })
    }
}

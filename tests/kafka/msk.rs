//! Signing in as to Amazon MSK by IAM, to a real broker that verifies the token's signature and takes it for seconds only.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::backend::nowhere;
use crate::support::feed::Feed;
use crate::support::kafka::{Broker, Kind, topic};
use crate::support::msk::{KEY, SECONDS, SECRET, SESSION};
use crate::support::postgres::database;
use crate::support::process::{Process, folder};

/// A folder whose AWS profile gets its keys from a program, which says that they end soon: so does every token.
struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    fn new(broker: &Broker, topic: &str, secret: &str) -> Self {
        let folder = folder();
        let file = |name: &str| folder.path().join(name);
        let own = format!(
            "kafka:\n  topic: {topic}\n  properties: {{ssl.ca.location: {}}}\n",
            broker.certificate().display()
        );
        fs::write(file("streamify.yaml"), own).unwrap();
        let keys = format!(
            "#!/bin/sh\nprintf '{{\"Version\": 1, \"AccessKeyId\": \"{KEY}\", \"SecretAccessKey\": \"{secret}\", \
             \"SessionToken\": \"{SESSION}\", \"Expiration\": \"%s\"}}' \
             \"$(date -u -d '+{SECONDS} seconds' +%Y-%m-%dT%H:%M:%SZ)\"\n"
        );
        fs::write(file("keys"), keys).unwrap();
        fs::set_permissions(file("keys"), fs::Permissions::from_mode(0o755)).unwrap();
        let profile = format!("[profile short]\ncredential_process = {}\n", file("keys").display());
        fs::write(file("aws"), profile).unwrap();
        let variables = [
            ("AWS_CONFIG_FILE", file("aws").display().to_string()),
            ("AWS_PROFILE", "short".to_owned()),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("KAFKA_SECURITY", "msk-iam".to_owned()),
            ("KAFKA_BROKERS", broker.signed_address()),
            ("PATH", std::env::var("PATH").unwrap()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        Self { folder, variables }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        command.args(words).current_dir(self.folder.path()).env_clear().envs(self.variables.iter().cloned());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }
}

/// Ends with the test, however that ends.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains(SECRET) && !text.contains(SESSION), "{text}");
    text
}

#[test]
fn topics_are_listed_filled_and_followed_for_longer_than_a_token_lives() {
    let broker = Broker::shared(Kind::Msk);
    let topic = broker.make_topic(3);
    let place = Place::new(broker, &topic, SECRET);
    let listed = place.run(&["kafka", "topics"]);
    assert!(listed.status.success() && said(&listed).contains(&topic), "{}", said(&listed));

    let mut tail = place.command(&["kafka", "tail", &topic, "--from", "beginning", "--format", "value"]);
    let mut tail = Ending(tail.stdout(Stdio::piped()).spawn().unwrap());
    let (sender, came) = std::sync::mpsc::channel();
    let lines = BufReader::new(tail.0.stdout.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));

    let mut produce = place.command(&["kafka", "produce", &topic]);
    let mut produce = Ending(produce.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut input = produce.0.stdin.take().unwrap();
    let ends = Instant::now() + Duration::from_secs(SECONDS * 5 / 2);
    let mut number = 0;
    while Instant::now() < ends {
        writeln!(input, "line {number}").unwrap();
        assert_eq!(came.recv_timeout(Duration::from_secs(10)).as_deref(), Ok(format!("line {number}").as_str()));
        number += 1;
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(input);
    assert!(produce.0.wait().unwrap().success());
}

#[test]
fn who_can_not_sign_in_hears_why_and_no_key_is_shown() {
    let broker = Broker::shared(Kind::Msk);
    let wrong = Place::new(broker, "none", "another-secret").run(&["kafka", "topics"]);
    assert!(wrong.status.code() == Some(4) && said(&wrong).contains("uthentication"), "{}", said(&wrong));
    assert!(broker.log().contains("MSK: refused: expected: the signature"), "{}", broker.log());

    let mut none = Place::new(broker, "none", SECRET);
    none.variables.retain(|(name, _)| !matches!(name.as_str(), "AWS_PROFILE" | "AWS_CONFIG_FILE"));
    let none = none.run(&["kafka", "topics"]);
    let text = said(&none);
    assert!(none.status.code() == Some(4) && text.contains("can't sign in to"), "{text}");

    let mut nowhere = Place::new(broker, "none", SECRET);
    nowhere.variables.retain(|(name, _)| name != "AWS_REGION");
    let nowhere = nowhere.run(&["kafka", "topics"]);
    assert!(nowhere.status.code() == Some(2) && said(&nowhere).contains("AWS_REGION"), "{}", said(&nowhere));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_makes_its_topic_and_tells_of_videos_for_longer_than_a_token_lives() {
    let broker = tokio::task::spawn_blocking(|| Broker::shared(Kind::Msk)).await.unwrap();
    let (topic, address, url) = (topic(), nowhere(), database().await);
    let place = Place::new(broker, &topic, SECRET);
    let keys = format!("test:{}", "t".repeat(40));
    let own = [("DATABASE_URL", url.as_str()), ("JWT_KEYS", &keys), ("STREAMIFY_LOGINS_PER_MINUTE", "1000")];
    let variables = place.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let variables: Vec<(&str, &str)> = variables.chain(own).collect();
    let log = place.folder.path().join("log");
    let _serving = Process::start(&[env!("CARGO_BIN_EXE_streamify"), "serve", "--listen", &address], &log, &variables);
    let api = Api::new(&address);
    api.ready().await;
    let api = api.as_new_user("ada").await;
    let mut feed = Feed::follow(&api, None).await;
    let ends = Instant::now() + Duration::from_secs(SECONDS * 5 / 2);
    let mut number = 0;
    while Instant::now() < ends {
        api.add_video(&format!("video {number}")).await;
        assert_eq!(feed.titles(1).await, [format!("video {number}")]);
        number += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    api.ready().await;
    let log = fs::read_to_string(&log).unwrap();
    assert!(!log.contains("can't sign in") && !log.contains(SECRET), "{log}");
}

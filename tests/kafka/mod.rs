//! `kafka tail` and its siblings, on a real broker.

mod msk;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::stack::Project;
use crate::support::kafka::{Broker, Kind};
use crate::support::process::{folder, free_port};

/// Milliseconds since 1970, of 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000;

/// `streamify kafka …` in an empty folder, at this broker.
fn command(words: &[&str], brokers: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
    command.arg("kafka").args(words).args(["--brokers", brokers]).current_dir(folder().keep());
    command
}

fn run(words: &[&str]) -> Output {
    command(words, &Broker::shared(Kind::Kraft).address()).output().unwrap()
}

fn ok(words: &[&str]) -> String {
    let output = run(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(words: &[&str]) -> Vec<Value> {
    let text = ok(&[words, &["--output", "json"]].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A topic of three partitions; message N is N seconds into the year.
fn topic(messages: i64) -> String {
    let broker = Broker::shared(Kind::Kraft);
    let topic = broker.make_topic(3);
    let message = |number: i64| {
        (format!("key {number}"), format!("{{\"number\": {number}, \"text\": \"ä\\n\"}}"), NEW_YEAR + number * 1_000)
    };
    broker.write(&topic, &(0..messages).map(message).collect::<Vec<_>>());
    topic
}

fn numbers(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["value"]["number"].as_i64().unwrap()).collect()
}

#[test]
fn everything_from_the_beginning_to_the_end_once_and_in_each_partitions_order() {
    let topic = topic(5_000);
    let messages = json(&["tail", &topic, "--from", "beginning", "--exit-at-end"]);
    assert_eq!(messages.len(), 5_000);
    assert_eq!(numbers(&messages).into_iter().collect::<BTreeSet<_>>().len(), 5_000);
    let mut next = [0; 3];
    for message in &messages {
        let partition = usize::try_from(message["partition"].as_u64().unwrap()).unwrap();
        assert_eq!(message["offset"], next[partition], "partition {partition}");
        next[partition] += 1;
    }
    assert!(next.iter().all(|count| *count > 0), "{next:?}");
    let first = &messages[0];
    let number = first["value"]["number"].as_i64().unwrap();
    assert_eq!(first["key"], format!("key {number}"));
    assert_eq!(first["timestamp"], NEW_YEAR + number * 1_000);
    assert_eq!(first["topic"], topic);
    assert_eq!(first["value"]["text"], "ä\n", "embedded, not escaped into a string");
}

#[test]
fn the_last_ones_come_in_the_order_of_their_times() {
    let topic = topic(300);
    assert_eq!(numbers(&json(&["tail", &topic, "--from", "-7", "--exit-at-end"])), (293..300).collect::<Vec<_>>());
    assert_eq!(numbers(&json(&["tail", &topic, "--from", "-1000", "--exit-at-end"])), (0..300).collect::<Vec<_>>());
}

#[test]
fn a_time_bounds_both_sides() {
    let topic = topic(300);
    let words = ["tail", &topic, "--from", "2026-01-01T00:01:00Z", "--to", "2026-01-01T00:02:00Z"];
    let mut found = numbers(&json(&words));
    found.sort_unstable();
    assert_eq!(found, (60..=120).collect::<Vec<_>>());
    assert_eq!(json(&["tail", &topic, "--from", "10m", "--exit-at-end"]).len(), 0, "they are older");
}

#[test]
fn filters_counts_partitions_and_formats() {
    let topic = topic(300);
    let all = ["--from", "beginning", "--exit-at-end"];
    let with = |words: &[&str]| ok(&[&["tail", &topic], words, &all].concat());
    let mut keys: Vec<String> = with(&["--key", "^key 1.$", "--format", "%k\\n"]).lines().map(str::to_owned).collect();
    keys.sort_unstable();
    assert_eq!(keys, (10..20).map(|number| format!("key {number}")).collect::<Vec<_>>());
    assert_eq!(with(&["--grep", "\"number\": 77,", "--format", "value"]), "{\"number\": 77, \"text\": \"ä\\n\"}\n");
    assert_eq!(with(&["--count", "4", "--format", "%o\\n"]).lines().count(), 4);
    let partitions: BTreeSet<String> =
        with(&["--partition", "1", "--format", "%p\\n"]).lines().map(str::to_owned).collect();
    assert_eq!(partitions.into_iter().collect::<Vec<_>>(), ["1"]);
    let human = with(&["--count", "1"]);
    assert!(human.contains("number"), "{human}");
}

#[test]
fn it_follows_until_it_is_interrupted() {
    let broker = Broker::shared(Kind::Kraft);
    let topic = topic(10);
    let mut tail = command(&["tail", &topic, "--format", "value"], &broker.address());
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    // Whether it has found the end already can't be seen from outside: messages are sent until one comes.
    let (sender, came) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let line = lines.next();
        sender.send(()).unwrap();
        line.map(|line| (line.unwrap(), lines))
    });
    for number in 0.. {
        assert!(number < 100, "nothing came");
        broker.write(&topic, &[("new".into(), format!("new {number}"), NEW_YEAR)]);
        if came.recv_timeout(Duration::from_millis(300)).is_ok() {
            break;
        }
    }
    let (line, rest) = reading.join().unwrap().unwrap();
    assert!(line.starts_with("new "), "only what is new: {line}");
    assert!(Command::new("kill").args(["-INT", &tail.id().to_string()]).status().unwrap().success());
    assert_eq!(tail.wait().unwrap().code(), Some(130));
    assert!(rest.map(Result::unwrap).all(|line| line.starts_with("new ")));
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let topic = topic(5_000);
    let mut tail = command(&["tail", &topic, "--from", "beginning"], &Broker::shared(Kind::Kraft).address());
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 100];
    tail.stdout.take().unwrap().read_exact(&mut some).unwrap();
    // The pipe is closed by now. What is left is larger than a pipe takes, so it notices.
    let output = tail.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_cannot_be_read_is_told_with_the_way_on() {
    let topic = topic(1);
    let output = run(&["tail", &topic.replace("videos", "video")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&topic), "it names the one that was meant: {said}");
    let nobody = format!("127.0.0.1:{}", free_port());
    let output = command(&["tail", &topic], &nobody).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains(&nobody), "{said}");
    assert_eq!(run(&["tail", &topic, "--from", "yesterday"]).status.code(), Some(2));
    assert_eq!(run(&["tail", &topic, "--partition", "9"]).status.code(), Some(1));
}

#[test]
fn what_is_produced_is_listed_and_read() {
    let topic = topic(0);
    let broker = Broker::shared(Kind::Kraft);
    let words = ["produce", &topic, "--key", "k", "--header", "source=hand", "--output", "json"];
    let mut producing = command(&words, &broker.address());
    let mut producing = producing.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    producing.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let sent = producing.wait_with_output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&sent.stdout).unwrap()["sent"], 2);
    let topics: Vec<Value> = serde_json::from_str(&ok(&["topics", "--output", "json"])).unwrap();
    let listed = topics.iter().find(|listed| listed["name"] == topic.as_str()).unwrap();
    assert_eq!(listed["messages"], 2, "{listed}");
    let messages = json(&["tail", &topic, "--from", "beginning", "--exit-at-end"]);
    assert_eq!((&messages[0]["value"], &messages[1]["value"]), (&"one".into(), &"two".into()));
    assert_eq!(messages[0]["headers"][0]["value"], "hand");
}

#[test]
fn beside_a_running_stack_it_needs_no_flag() {
    let project = Project::new();
    project.ok(&["up", "backend", "--detach"]);
    let output = project.tool(&["kafka", "topics", "--output", "json"]);
    let topics: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(topics.iter().any(|topic| topic["name"] == "video.created"), "{topics:?}");
    let output = project.tool(&["kafka", "tail", "video.created", "--from", "beginning", "--exit-at-end"]);
    assert!(output.status.success() && output.stdout.is_empty());
}

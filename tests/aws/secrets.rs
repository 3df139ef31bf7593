//! `streamify secrets` on MiniStack's parameter store and Secrets Manager.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::Project;
use super::proxy::{Answer, Proxy};
use crate::support::aws::{ACCOUNT, REGION, ministack};
use crate::support::process::eventually;

fn project(name: &str) -> Project {
    let text = format!(
        "name: {name}\n\
         services:\n  backend: {{secrets: {{JWT_KEYS: JWT_KEYS, DATABASE_URL: 'database:url'}}}}\n  \
         page: {{secrets: {{SENTRY: sentry-key}}}}\n\
         environments:\n  prod: {{region: {REGION}, account: '{ACCOUNT}'}}\n  \
         managed: {{region: {REGION}, secrets: {{store: secrets-manager, prefix: /{name}/prod/}}}}\n"
    );
    Project::new(&ministack().endpoint(), &text)
}

fn names(list: &Value) -> Vec<(&str, &str)> {
    let field = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned().leak() as &str;
    list.as_array().unwrap().iter().map(|one| (field(one, "name"), field(one, "store"))).collect()
}

#[test]
fn a_secret_lives_in_the_parameter_store() {
    let project = project("parameter");
    let set = |value: &str| project.run_with(&["secrets", "set", "prod", "TOKEN", "--output", "json"], value);
    assert!(set("first-value-7f3a\n").out.contains("\"new\""));
    assert!(set("first-value-7f3a\n").out.contains("\"same\""));
    assert!(set("second-value-7f3a").out.contains("\"changed\""));

    let shown = project.json(&["secrets", "get", "prod", "TOKEN"]);
    assert_eq!((&shown["version"], &shown["value"], &shown["store"]), (&"2".into(), &Value::Null, &"ssm".into()));
    let history = project.json(&["secrets", "history", "prod", "TOKEN"]);
    let versions = history["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2, "what was the same was not written");
    assert!(versions[0]["by"].as_str().unwrap().contains(ACCOUNT));
    assert!(project.good(&["secrets", "get", "prod", "TOKEN"]).contains("********"));
    let file = project.folder.path().join("value");
    fs::write(&file, "from a file 7f3a\r\n").unwrap();
    project.good(&["secrets", "set", "prod", "TOKEN", "--from-file", file.to_str().unwrap()]);
    project.good(&["secrets", "set", "prod", "SALT", "--random", "--bytes", "16"]);
    assert_eq!(names(&project.json(&["secrets", "list", "prod"])), [("SALT", "ssm"), ("TOKEN", "ssm")]);

    let refused = project.run(&["secrets", "delete", "prod", "TOKEN"]);
    assert!(refused.code == 1 && refused.err.contains("It can't be had back"), "{}", refused.err);
    project.never_printed(&["value-7f3a", "from a file 7f3a"]);

    assert_eq!(project.good(&["secrets", "get", "prod", "TOKEN", "--reveal"]), "from a file 7f3a\n");
    let salt = project.good(&["secrets", "get", "prod", "SALT", "--reveal"]);
    assert!(salt.trim().len() == 32 && salt.trim().chars().all(|c| c.is_ascii_hexdigit()), "{salt}");
    project.good(&["secrets", "delete", "prod", "TOKEN", "--yes"]);
    let gone = project.run(&["secrets", "get", "prod", "TOKEN"]);
    assert!(gone.code == 1 && gone.err.contains("neither of the stores has /parameter/prod/TOKEN"), "{}", gone.err);
}

#[test]
fn a_secret_lives_in_secrets_manager_and_comes_back() {
    let project = project("manager");
    let whole = r#"{"url":"postgres://app:pass-91c2@db/app","port":5432}"#;
    assert_eq!(project.run_with(&["secrets", "set", "managed", "database"], whole).code, 0);
    // One key by the name of the variable; the others stay.
    let ran = project.run_with(&["secrets", "set", "managed", "DATABASE_URL"], "postgres://app:next-91c2@db/app");
    assert_eq!(ran.code, 0, "{}", ran.err);
    // The other environment has the same prefix and the other store: reading looks in both.
    assert_eq!(names(&project.json(&["secrets", "list", "prod"])), [("database", "secrets-manager")]);
    let history = project.json(&["secrets", "history", "prod", "database"]);
    assert_eq!(history["versions"][0]["labels"], json!(["AWSCURRENT"]));
    // Writing keeps an existing one where it is.
    assert_eq!(project.run_with(&["secrets", "set", "prod", "database:user"], "app").code, 0);
    assert_eq!(names(&project.json(&["secrets", "list", "prod"])), [("database", "secrets-manager")]);

    let deleted = project.json(&["secrets", "delete", "managed", "database", "--recovery-days", "7", "--yes"]);
    assert!(deleted["restorable_until"].is_string(), "{deleted}");
    assert_eq!(project.run(&["secrets", "get", "managed", "database"]).code, 1);
    project.good(&["secrets", "restore", "managed", "database"]);
    let missing = project.run(&["secrets", "get", "managed", "database:nothing"]);
    assert!(missing.err.contains("its keys are port, url, user"), "{}", missing.err);
    project.never_printed(&["91c2"]);
    let url = project.good(&["secrets", "get", "prod", "DATABASE_URL", "--reveal"]);
    assert_eq!(url, "postgres://app:next-91c2@db/app\n");
    assert_eq!(project.good(&["secrets", "get", "prod", "database:port", "--reveal"]), "5432\n");

    // A name that waits for its end is taken back by writing.
    project.good(&["secrets", "delete", "managed", "database", "--yes"]);
    assert_eq!(project.run_with(&["secrets", "set", "managed", "database"], "anew").code, 0);
    assert_eq!(project.good(&["secrets", "get", "managed", "database", "--reveal"]), "anew\n");
}

#[test]
fn a_value_as_an_argument_is_refused_and_not_repeated() {
    let project = project("arguments");
    let forms: [&[&str]; 6] = [
        &["secrets", "set", "prod", "TOKEN=argument-5d0e"],
        &["secrets", "set", "prod", "TOKEN", "argument-5d0e"],
        &["secrets", "set", "prod", "TOKEN", "-argument-5d0e"],
        &["secrets", "set", "prod", "TOKEN", "--value=argument-5d0e"],
        &["secrets", "set", "prod", "TOKEN", "--", "argument-5d0e"],
        &["secrets", "get", "prod", "TOKEN=argument-5d0e"],
    ];
    for form in forms {
        let ran = project.run(form);
        assert_eq!(ran.code, 2, "{form:?}: {}", ran.err);
        assert!(ran.err.contains("streamify secrets set ENV NAME --from-file FILE"), "{}", ran.err);
    }
    project.never_printed(&["argument-5d0e"]);
    assert_eq!(project.json(&["secrets", "list", "prod"]), json!([]));
    let empty = project.run_with(&["secrets", "set", "prod", "TOKEN"], "\n");
    assert!(empty.code == 2 && empty.err.contains("standard input is empty"), "{}", empty.err);
}

/// Runs a command on a terminal, and answers what it asks; how it ended, and everything on the screen.
fn on_a_terminal(project: &Project, arguments: &[&str], answers: &[(&str, &str)]) -> (Option<i32>, String) {
    let pair = nix::pty::openpty(None, None).unwrap();
    let end = |end: &OwnedFd| Stdio::from(end.try_clone().unwrap());
    let mut command = project.command(arguments);
    let mut child = command.stdin(end(&pair.slave)).stderr(end(&pair.slave)).stdout(end(&pair.slave)).spawn().unwrap();
    // Its ends of the terminal would keep the reader waiting.
    drop(command);
    drop(pair.slave);
    let seen = Arc::new(Mutex::new(String::new()));
    let writer = pair.master.try_clone().unwrap();
    let reader = std::thread::spawn({
        let (seen, mut screen) = (seen.clone(), fs::File::from(pair.master));
        move || {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = std::io::Read::read(&mut screen, &mut bytes) {
                *seen.lock().unwrap() += &String::from_utf8_lossy(&bytes[..count]);
            }
        }
    });
    for (question, answer) in answers {
        eventually(question, || seen.lock().unwrap().contains(question));
        nix::unistd::write(&writer, answer.as_bytes()).unwrap();
    }
    let code = child.wait().unwrap().code();
    drop(writer);
    reader.join().unwrap();
    let seen = seen.lock().unwrap().clone();
    (code, seen)
}

#[test]
fn a_value_that_is_typed_is_not_shown() {
    let project = project("typed");
    let set = ["secrets", "set", "prod", "TOKEN"];
    let questions = ["The value of TOKEN (not shown):", "The same again:"];
    let (code, seen) = on_a_terminal(&project, &set, &[(questions[0], "typed-c41b\r"), (questions[1], "typed-c41b\r")]);
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("TOKEN is new") && !seen.contains("c41b"), "{seen}");
    assert_eq!(project.good(&["secrets", "get", "prod", "TOKEN", "--reveal"]), "typed-c41b\n");

    let (code, seen) = on_a_terminal(&project, &set, &[(questions[0], "typed-c41b\r"), (questions[1], "other-c41b\r")]);
    assert!(code == Some(1) && seen.contains("the two are different") && !seen.contains("c41b"), "{seen}");
    let (code, seen) = on_a_terminal(&project, &set, &[(questions[0], "half-c41b\x03")]);
    assert!(code == Some(130) && !seen.contains("c41b"), "{seen}");
}

#[test]
fn what_cannot_be_had_back_is_deleted_by_typing_its_name() {
    let project = project("gone");
    project.run_with(&["secrets", "set", "prod", "TOKEN"], "gone-80a3");
    let (delete, question) = (["secrets", "delete", "prod", "TOKEN"], "Type its name:");
    let (code, seen) = on_a_terminal(&project, &delete, &[(question, "yes\r")]);
    assert!(code == Some(1) && seen.contains("nothing was deleted"), "{seen}");
    let (code, seen) = on_a_terminal(&project, &delete, &[(question, "TOK\x03")]);
    assert_eq!(code, Some(130), "{seen}");
    project.good(&["secrets", "get", "prod", "TOKEN"]);
    let (code, seen) = on_a_terminal(&project, &delete, &[(question, "TOKEN\r")]);
    assert!(code == Some(0) && seen.contains("TOKEN is deleted"), "{seen}");
    assert_eq!(project.json(&["secrets", "list", "prod"]), json!([]));
}

#[test]
fn an_import_says_what_is_new_and_finishes_what_was_cut_short() {
    let refusal = Answer {
        operation: "PutParameter",
        after: 1,
        times: 9,
        status: 400,
        body: r#"{"__type":"InternalFault","message":"no"}"#.to_owned(),
    };
    let proxy = Proxy::start(&ministack().endpoint(), vec![refusal]);
    let mut project = project("import");
    let file = project.folder.path().join(".env");
    fs::write(&file, "SENTRY=import-e6a9\nJWT_KEYS=\"k:import-e6a9\"\nPORT=1\nOTHER='import-e6a9 other'\nEMPTY=\n")
        .unwrap();
    let states = |project: &Project, more: &[&str]| -> Vec<(String, String)> {
        let plan = project.json(&[&["secrets", "import", "prod"], more].concat());
        let word = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        plan["secrets"].as_array().unwrap().iter().map(|one| (word(one, "name"), word(one, "state"))).collect()
    };
    let pair = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    let left = |name| pair(name, "left out");
    let expected = [left("EMPTY"), pair("JWT_KEYS", "new"), left("OTHER"), left("PORT"), pair("sentry-key", "new")];
    assert_eq!(states(&project, &["--dry-run"]), expected);
    assert_eq!(project.json(&["secrets", "list", "prod"]), json!([]), "a dry run writes nothing");

    // One write goes through, the next one fails.
    project.variable("AWS_ENDPOINT_URL", Some(&proxy.endpoint));
    assert_eq!(project.run(&["secrets", "import", "prod", "--all"]).code, 1);
    project.variable("AWS_ENDPOINT_URL", Some(&ministack().endpoint()));
    let cut = project.json(&["secrets", "list", "prod"]).as_array().unwrap().len();
    assert!((1..4).contains(&cut), "{cut} were written");
    project.good(&["secrets", "import", "prod", "--all"]);
    let all = project.json(&["secrets", "list", "prod"]);
    assert_eq!(names(&all).len(), 4);
    assert!(all.as_array().unwrap().iter().all(|one| one["version"] == "1"), "nothing was written twice: {all}");

    fs::write(&file, "SENTRY=import-e6a9\nJWT_KEYS=k:other-e6a9").unwrap();
    assert_eq!(states(&project, &["--dry-run"]), [pair("JWT_KEYS", "changed"), pair("sentry-key", "same")]);
    let asked = project.run(&["secrets", "import", "prod"]);
    assert!(asked.code == 1 && asked.err.contains("Overwrite 1 of the secrets?"), "{}", asked.err);
    project.good(&["secrets", "import", "prod", "--yes"]);
    fs::write(&file, "BROKEN='e6a9 without an end\n").unwrap();
    assert_eq!(project.run(&["secrets", "import", "prod"]).code, 2);
    project.never_printed(&["e6a9"]);
    assert_eq!(project.good(&["secrets", "get", "prod", "JWT_KEYS", "--reveal"]), "k:other-e6a9\n");
}

#[test]
fn keys_are_rotated_and_the_old_one_is_dropped_later() {
    let project = project("rotate");
    let keys = || project.good(&["secrets", "get", "prod", "JWT_KEYS", "--reveal"]).trim().to_owned();
    project.good(&["secrets", "rotate", "prod"]);
    let first = keys();
    let announced = project.json(&["secrets", "rotate", "prod", "JWT_KEYS", "--announce"]);
    assert_eq!(announced["verify"].as_array().unwrap().len(), 1);
    let (signs, new) = keys().split_once(',').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(signs, first);
    let ran = project.run(&["secrets", "rotate", "prod"]);
    assert!(ran.err.contains("15 minutes after that has finished"), "{}", ran.err);
    assert_eq!(keys(), format!("{new},{first}"));
    let early = project.run(&["secrets", "rotate", "prod", "--drop-old"]);
    assert!(early.code == 1 && early.err.contains("tokens of the old ones may live until"), "{}", early.err);
    project.good(&["secrets", "rotate", "prod", "--drop-old", "--yes"]);
    assert_eq!(keys(), new);
    project.run_with(&["secrets", "set", "prod", "sentry-key"], "no-keys-ab12");
    let wrong = project.run(&["secrets", "rotate", "prod", "sentry-key"]);
    assert!(wrong.code == 1 && wrong.err.contains("does not hold keys that sign tokens"), "{}", wrong.err);
    project.never_printed(&["no-keys-ab12"]);
}

#[test]
fn what_services_need_is_compared_with_what_is_there_and_what_runs() {
    let project = project("diff");
    project.run_with(&["secrets", "set", "prod", "OLD"], "diff-20ff");
    project.run_with(&["secrets", "set", "prod", "JWT_KEYS"], "diff-20ff");
    // Some tell times to the second only.
    let a_second = || std::thread::sleep(std::time::Duration::from_millis(1_100));
    a_second();
    let client = crate::support::ground::clients(&ministack().endpoint());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(super::verify::service(&client, "diff-cluster", "diff-backend", None));
    let outputs = project.folder.path().join("outputs.json");
    let service = json!({ "name": "diff-backend", "execution_role": "arn:aws:iam::1:role/e", "task_role": "arn:aws:iam::1:role/t",
                          "security_groups": ["sg-1"], "target_group": null, "log_group": "/diff" });
    let made = json!({ "cluster": "diff-cluster", "subnets": ["subnet-1"], "assign_public_ip": false,
                       "deploys_table": "d", "secrets": { "DATABASE_URL": "arn:aws:secretsmanager:eu-west-1:1:secret:db-1" },
                       "services": { "backend": service } });
    fs::write(&outputs, made.to_string()).unwrap();
    let states = || -> Vec<(String, String)> {
        let rows = project.json(&["secrets", "diff", "prod", "--outputs", "outputs.json"]);
        let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().map(|row| (word(row, "name"), word(row, "state"))).collect()
    };
    let pair = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    // What Terraform makes is not looked for below the prefix.
    assert_eq!(states(), [pair("JWT_KEYS", "ok"), pair("OLD", "unused"), pair("sentry-key", "missing")]);
    a_second();
    project.run_with(&["secrets", "set", "prod", "JWT_KEYS"], "diff-20ff-next");
    assert_eq!(states()[0], pair("JWT_KEYS", "changed"));

    let ran = project.run(&["secrets", "diff", "prod", "--exit-code"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("not compared with the tasks that run"), "{}", ran.err);
    assert!(ran.out.contains("backend.DATABASE_URL"), "{}", ran.out);
    project.never_printed(&["diff-20ff"]);
}

#[test]
fn many_secrets_are_read_in_batches() {
    let proxy = Proxy::start(&ministack().endpoint(), Vec::new());
    let mut project = project("batch");
    project.variable("AWS_ENDPOINT_URL", Some(&proxy.endpoint));
    let lines: Vec<String> = (0..25).map(|index| format!("NAME_{index}=batch-77aa-{index}\n")).collect();
    fs::write(project.folder.path().join(".env"), lines.concat()).unwrap();
    project.good(&["secrets", "import", "prod", "--all"]);
    assert_eq!((proxy.calls("GetParameters"), proxy.calls("PutParameter")), (3, 25));
    assert_eq!(proxy.calls("BatchGetSecretValue"), 2);
    project.never_printed(&["batch-77aa"]);
}

#[test]
fn long_values_and_plain_parameters_are_told() {
    let project = project("limits");
    let value = |bytes: usize| "x9d2".repeat(bytes / 4);
    let long = project.run_with(&["secrets", "set", "prod", "LONG"], &value(5_000));
    assert!(long.code == 0 && long.err.contains("AWS charges for such a parameter"), "{}", long.err);
    // It may shrink again, and stays what it is.
    assert_eq!(project.run_with(&["secrets", "set", "prod", "LONG"], &value(8)).code, 0);
    let refused = project.run_with(&["secrets", "set", "prod", "LONGER"], &value(9_000));
    assert!(refused.code == 1 && refused.err.contains("Secrets Manager takes 65536"), "{}", refused.err);
    assert_eq!(project.run_with(&["secrets", "set", "managed", "LONGER"], &value(9_000)).code, 0);
    let refused = project.run_with(&["secrets", "set", "managed", "LONGEST"], &value(66_000));
    assert!(refused.code == 1 && refused.err.contains("takes 65536 at most"), "{}", refused.err);

    let config = crate::support::ground::clients(&ministack().endpoint());
    let plain = aws_sdk_ssm::Client::new(&config).put_parameter().name("/limits/prod/sentry-key").value("x9d2");
    let made = plain.r#type(aws_sdk_ssm::types::ParameterType::String).send();
    tokio::runtime::Runtime::new().unwrap().block_on(made).unwrap();
    assert!(project.good(&["secrets", "list", "prod"]).contains("not encrypted"));
    let rows = project.json(&["secrets", "diff", "prod"]);
    let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "sentry-key").unwrap();
    assert_eq!((&row["state"], &row["needed_by"]), (&"plain".into(), &json!(["page.SENTRY"])));
    project.never_printed(&["x9d2"]);
}

//! The commands: logs, exec, run, restart, build, watch, port, top, doctor.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::{Project, err};
use crate::support::process::eventually;

const ONE: &str = "services: {a: {image: BOX, command: [sh, -c, 'echo started; echo oops >&2; exec sleep 1000'], stop_signal: SIGKILL, ports: ['80']}}\n";

#[test]
fn logs_are_merged_filtered_and_followed_through_a_restart() {
    let project = Project::new(ONE);
    project.up(&["--scale", "a=2"]);
    assert_eq!(project.ok(&["logs"]).lines().count(), 4);
    assert_eq!(project.ok(&["logs", "--grep", "oops"]).lines().count(), 2);
    assert_eq!(project.ok(&["logs", "--tail", "1"]).lines().count(), 2);
    let line: Value = serde_json::from_str(project.ok(&["logs", "--output", "json"]).lines().next().unwrap()).unwrap();
    assert_eq!(line["service"], "a");
    let mut follow = project.command(&["logs", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    for _ in 0..4 {
        lines.next().unwrap().unwrap();
    }
    project.ok(&["restart"]);
    // Two containers came back, and each prints two lines; none is said twice.
    let after: Vec<String> = lines.by_ref().take(4).map(Result::unwrap).collect();
    assert_eq!(after.iter().filter(|line| line.contains("started")).count(), 2, "{after:?}");
    assert_eq!(after.iter().filter(|line| line.contains("oops")).count(), 2, "{after:?}");
    assert!(Command::new("kill").args(["-INT", &follow.id().to_string()]).status().unwrap().success());
    assert!(follow.wait().unwrap().success());
}

#[test]
fn exec_gives_output_exit_code_input_and_a_real_terminal() {
    let project = Project::new(ONE);
    project.up(&[]);
    let output = project.run(&["exec", "a", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice(), err(&output).as_str()),
        (Some(7), &b"out\n"[..], "err\n")
    );
    let mut child =
        project.command(&["exec", "a", "wc", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &vec![b'x'; 100_000]).unwrap();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim(), "100000");
    let output = project.run(&["exec", "a", "no-such-program"]);
    assert_ne!(output.status.code(), Some(0));
    // Under a terminal of 100 columns and 40 rows, the container has one of the same size.
    let inside = format!(
        "stty cols 100 rows 40; '{}' dev exec a sh -c 'sleep 0.5; stty size; tty'",
        env!("CARGO_BIN_EXE_streamify")
    );
    let mut script = Command::new("script");
    script.args(["-qec", &inside, "/dev/null"]).current_dir(project.path());
    script.env("DOCKER_HOST", &project.daemon.host).env("STREAMIFY_RUNTIME", "docker").stdin(Stdio::null());
    let text = String::from_utf8(script.output().unwrap().stdout).unwrap();
    assert!(text.contains("40 100") && text.contains("/dev/pts/"), "{text}");
    let output = project.run(&["exec", "b", "true"]);
    assert!(err(&output).contains("b is not running"), "{}", err(&output));
}

#[test]
fn run_makes_a_container_of_its_own_after_what_it_needs() {
    let project = Project::new(
        "services:\n  db: {image: BOX, command: sleep 1000, stop_signal: SIGKILL}\n  \
         job: {image: BOX, command: sleep 1000, environment: {A: file, B: file}, depends_on: [db], ports: ['80:80']}\n",
    );
    let output = project.run(&["run", "--rm", "-e", "A=flag", "job", "sh", "-c", "echo $A $B; exit 5"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(5), &b"flag file\n"[..]), "{}", err(&output));
    let left: Vec<_> = project.ids().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, [format!("{}-db-1", project.name)]);
    let name = project.ok(&["run", "--detach", "job", "sleep", "1000"]);
    assert!(name.contains("-job-run-"), "{name}");
    // A one-off container is no orphan and no replica, and `down` takes it along.
    assert!(!project.plan(&["job"]).contains("run"), "{}", project.plan(&["job"]));
    project.ok(&["down"]);
    assert_eq!(project.remains(), 0);
}

#[test]
fn images_are_built_with_arguments_target_and_without_what_is_ignored() {
    let project = Project::new(
        "services: {a: {build: {context: app, target: last, args: {WORD: hello}}, command: sleep 1000, stop_signal: SIGKILL}}\n",
    );
    let app = project.path().join("app");
    std::fs::create_dir_all(app.join("secret")).unwrap();
    std::fs::write(app.join("secret/key"), "x").unwrap();
    std::fs::write(app.join("kept"), "x").unwrap();
    std::fs::write(app.join(".dockerignore"), "secret\n").unwrap();
    let dockerfile =
        "FROM streamify-test/box:1 AS last\nARG WORD\nCOPY . /app/\nRUN echo $WORD > /word\nFROM last\nRUN exit 1\n";
    std::fs::write(app.join("Dockerfile"), dockerfile).unwrap();
    insta::assert_snapshot!(project.plan(&[]), @r"
    build image NAME-a: it is not here
    create network NAME_default: it is not there
    create container NAME-a-1: it is not there
    ");
    project.up(&[]);
    assert_eq!(project.ok(&["exec", "-T", "a", "sh", "-c", "cat /word; ls /app"]), "hello\nDockerfile\nkept\n");
    let before = project.ids();
    std::fs::write(app.join("more"), "x").unwrap();
    project.up(&[]);
    assert_eq!(project.ids(), before, "an image that is there is used");
    project.up(&["--build"]);
    assert_ne!(project.ids(), before, "another image makes another container");
    std::fs::write(app.join("Dockerfile"), "FROM streamify-test/box:1\nRUN echo before; exit 9\n").unwrap();
    project.write("services: {a: {build: app}}\n");
    let output = project.run(&["build"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("returned a non-zero code: 9") && err(&output).contains("before"),
        "{}",
        err(&output)
    );
}

#[test]
fn watch_copies_what_changes_and_removes_what_goes() {
    let project = Project::new(
        "services: {a: {image: BOX, command: sleep 1000, stop_signal: SIGKILL, \
         develop: {watch: [{action: sync, path: ./src, target: /app, initial_sync: true, ignore: ['*.tmp']}]}}}\n",
    );
    let source = project.path().join("src");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("first"), "1").unwrap();
    let mut watch = project.command(&["watch"]).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = watch.stderr.take().unwrap();
    let drain = std::thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).collect::<Vec<_>>());
    let inside =
        |command: &str| String::from_utf8(project.run(&["exec", "-T", "a", "sh", "-c", command]).stdout).unwrap();
    eventually("the first copy", || inside("cat /app/first") == "1");
    std::fs::write(source.join("ignored.tmp"), "x").unwrap();
    std::fs::write(source.join("second"), "2").unwrap();
    eventually("a new file", || inside("cat /app/second") == "2");
    std::fs::remove_file(source.join("first")).unwrap();
    eventually("a removed file", || inside("ls /app") == "second\n");
    assert!(Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap().success());
    assert!(watch.wait().unwrap().success());
    drop(drain.join());
}

#[test]
fn small_looks() {
    let project = Project::new(ONE);
    project.up(&[]);
    assert!(project.ok(&["port", "a", "80"]).contains("0.0.0.0:"));
    assert!(project.ok(&["top", "a"]).contains("sleep 1000"));
    let usage: Value = serde_json::from_str(&project.ok(&["stats", "--output", "json"])).unwrap();
    assert!(usage[0]["memory_bytes"].as_u64().unwrap() > 0);
    let findings: Vec<Value> = serde_json::from_str(&project.ok(&["doctor", "--output", "json"])).unwrap();
    for check in ["daemon", "api", "disk space", "memory", "clock", "networks", "images", "ports"] {
        assert!(findings.iter().any(|finding| finding["check"] == check), "{check}");
    }
    let mut events =
        project.command(&["events", "--since", "1m", "--output", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"action\":\"start\"")));
    events.kill().unwrap();
    events.wait().unwrap();
}

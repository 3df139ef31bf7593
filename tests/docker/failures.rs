//! Failures that explain themselves.

use std::net::TcpListener;

use super::support::{Project, err};
use crate::support::process::free_port;

#[test]
fn trouble_shows_its_reason_at_once_and_the_others_come_up() {
    let project = Project::new(
        "services:\n  \
         sick: {image: BOX, command: [sh, -c, 'echo no database here; exec sleep 1000'], stop_signal: SIGKILL, \
         healthcheck: {test: [CMD, sh, -c, 'echo can not connect; exit 1'], interval: 300ms, retries: 2}}\n  \
         needy: {image: BOX, command: sleep 1000, depends_on: {sick: {condition: service_healthy}}}\n  \
         broken: {image: BOX, command: [sh, -c, 'echo my last words; exit 3']}\n  \
         fine: {image: BOX, command: sleep 1000, stop_signal: SIGKILL}\n",
    );
    let output = project.run(&["up", "--detach"]);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for expected in [
        "sick is unhealthy",
        "sick | its health check (exit code 1): can not connect",
        "sick | no database here",
        "broken ended with exit code 3",
        "broken | my last words",
        "needy was not started: sick is unhealthy",
        "streamify dev logs sick",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert_eq!(project.entry("fine-1")["phase"], "running");
    assert_eq!(project.entry("needy-1")["phase"], "created");
}

#[test]
fn a_port_in_use_is_named_with_its_holder_before_anything_is_made() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let file = |port: u16| {
        format!(
            "services: {{a: {{image: BOX, command: sleep 1000, stop_signal: SIGKILL, ports: ['127.0.0.1:{port}:80']}}}}\n"
        )
    };
    let project = Project::new(&file(port));
    let output = project.run(&["up", "--detach"]);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("port {port} is in use")), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert_eq!(project.remains(), 0, "nothing was made");
    drop(listener);
    // Another project's container is named as such.
    let port = free_port();
    project.write(&file(port));
    project.up(&[]);
    let other = Project::new(&file(port));
    let output = other.run(&["up", "--detach"]);
    assert!(
        err(&output).contains(&format!("held by the container {}-a-1 of the project {}", project.name, project.name)),
        "{}",
        err(&output)
    );
    assert_eq!(other.remains(), 0);
    // One's own is given back by what is made anew.
    project.write(&file(port).replace("sleep 1000", "sleep 2000"));
    project.up(&[]);
}

#[test]
fn an_image_that_can_not_be_had_says_why() {
    let project = Project::new("services: {a: {image: '127.0.0.1:9/team/app:1'}}\n");
    let output = project.run(&["up", "--detach"]);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("can't pull 127.0.0.1:9/team/app:1") && text.contains("can't reach 127.0.0.1:9"), "{text}");
    let output = project.run(&["up", "--detach", "--pull", "never"]);
    assert!(err(&output).contains("must not be pulled"), "{}", err(&output));
}

#[test]
fn what_is_not_there_is_named() {
    let project = Project::new("services: {a: {image: BOX}}\n");
    let output = project.run(&["up", "c"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("There are: a."), "{}", err(&output));
    let output = project.command(&["up"]).env("DOCKER_HOST", "unix:///nowhere.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).contains("unix:///nowhere.sock (DOCKER_HOST): there is no such socket"), "{}", err(&output));
}

#[test]
fn a_wait_that_runs_out_says_so_and_up_goes_on() {
    let project = Project::new(
        "services: {slow: {image: BOX, command: [sh, -c, 'sleep 3; touch /tmp/ok; exec sleep 1000'], stop_signal: SIGKILL, \
         healthcheck: {test: [CMD, test, -f, /tmp/ok], interval: 300ms, retries: 100}}}\n",
    );
    let output = project.run(&["up", "--detach", "--wait-timeout", "1"]);
    assert_eq!(output.status.code(), Some(6), "{}", err(&output));
    let id = project.entry("slow-1")["id"].clone();
    project.up(&[]);
    assert_eq!(
        (project.entry("slow-1")["health"].clone(), project.entry("slow-1")["id"].clone()),
        ("healthy".into(), id)
    );
}

#[test]
fn images_that_cannot_be_had_are_not_needed_where_docker_was_not_asked_for() {
    // Nothing listens there, so this registry can't be reached, wherever the test runs.
    let project = Project::new("services: {postgres: {image: '127.0.0.1:9/postgres:17'}}\n");
    let ports = format!("dev: {{ports: {{postgres: {}}}}}\n", free_port());
    std::fs::write(project.path().join("streamify.yaml"), ports).unwrap();
    let run =
        |words: &[&str], runtime: &str| project.command(words).env("STREAMIFY_RUNTIME", runtime).output().unwrap();
    let asked = run(&["up", "--detach"], "docker");
    assert_eq!(asked.status.code(), Some(4), "{}", err(&asked));
    assert!(err(&asked).contains("can't reach 127.0.0.1:9"), "{}", err(&asked));

    let output = run(&["up", "--detach", "--build", "postgres"], "auto");
    let (shown, said) = (String::from_utf8_lossy(&output.stdout).into_owned(), err(&output));
    run(&["down"], "auto");
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("going on with the embedded runtime").count(), 1, "{said}");
    assert!(shown.contains("postgres") && shown.contains("healthy"), "{shown}");
}

//! One stack, two tools: Docker Compose and this one, in both directions.

use super::support::Project;

const SHOP: &str = "\
services:
  db:
    image: BOX
    command: [sh, -c, 'date >> /data/log; exec sleep 1000']
    healthcheck: {test: [CMD, test, -f, /data/log], interval: 500ms, retries: 5, start_period: 1s}
    volumes: [data:/data, ./files:/files:ro]
    environment: {A: '1', B: two}
    ulimits: {nofile: {soft: 1000, hard: 2000}}
    tmpfs: [/scratch]
    stop_signal: SIGKILL
    restart: unless-stopped
    mem_limit: 64m
    labels: {team: shop}
    init: true
  web:
    image: BOX
    command: httpd -f -p 80
    ports: ['80']
    depends_on: {db: {condition: service_healthy}}
    stop_signal: SIGKILL
    stop_grace_period: 3s
    cap_drop: [NET_RAW]
    extra_hosts: ['other:10.0.0.1']
    networks: [default, front]
networks: {front: {}}
volumes: {data: {}}
";

#[test]
fn compose_takes_what_this_tool_made_for_its_own() {
    let project = Project::new(SHOP);
    project.beside_compose(&["up", "--detach"]);
    let before = project.ids();
    let listed = project.compose(&["ps", "--format", "{{.Service}} {{.State}} {{.Health}}"]);
    assert!(listed.contains("db running healthy") && listed.contains("web running"), "{listed}");
    // Nothing changed, so Compose leaves every container as it is.
    project.compose(&["up", "--detach", "--wait"]);
    assert_eq!(project.ids(), before);
    assert!(project.compose(&["logs"]).is_empty());
    project.compose(&["down"]);
    assert_eq!(project.remains(), 1, "the volume stays");
    project.beside_compose(&["up", "--detach"]);
    assert_eq!(project.ok(&["exec", "-T", "db", "wc", "-l", "/data/log"]).trim(), "2 /data/log");
}

#[test]
fn this_tool_takes_what_compose_made_for_its_own() {
    let project = Project::new(SHOP);
    project.compose(&["up", "--detach", "--wait"]);
    let before = project.ids();
    assert_eq!(project.plan(&[]), "");
    assert!(project.up(&[]).contains("nothing to do"));
    assert_eq!(project.ids(), before);
    project.write(
        &SHOP
            .replace("B: two", "B: three")
            .replace("64m", "80m")
            .replace("stop_grace_period: 3s", "stop_grace_period: 4s"),
    );
    insta::assert_snapshot!(project.plan(&[]), @r"
    recreate container NAME-db-1: environment.B, mem_limit have changed
    recreate container NAME-web-1: stop_grace_period has changed; after db is healthy
    ");
    project.up(&[]);
    assert_eq!(project.ok(&["exec", "-T", "db", "wc", "-l", "/data/log"]).trim(), "2 /data/log");
    project.ok(&["down"]);
    assert_eq!(project.remains(), 1, "the volume stays");
    project.compose(&["up", "--detach", "--wait"]);
    assert_eq!(project.ok(&["exec", "-T", "db", "wc", "-l", "/data/log"]).trim(), "3 /data/log");
}

#[test]
fn what_compose_made_anew_is_in_its_place() {
    let project = Project::new(SHOP);
    project.up(&[]);
    let before = project.ids();
    // Without its plugin nobody could count Compose's own hash: it makes everything anew, once.
    project.compose(&["up", "--detach", "--wait"]);
    assert_ne!(project.ids(), before);
    assert_eq!(project.plan(&[]), "");
}

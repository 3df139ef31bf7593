//! Up, nothing to do, changed, scaled, down: what is planned, and what the engine then has.

use super::support::{Daemon, Project};
use crate::support::process::eventually;

const CHAIN: &str = "\
services:
  db:
    image: BOX
    command: [sh, -c, 'touch /tmp/ok; exec sleep 1000']
    healthcheck: {test: [CMD, test, -f, /tmp/ok], interval: 500ms}
    volumes: [data:/data]
    stop_signal: SIGKILL
  init:
    image: BOX
    command: [sh, -c, 'echo migrated >> /data/log']
    volumes: [data:/data]
    depends_on: {db: {condition: service_healthy}}
  web:
    image: BOX
    command: [httpd, -f, -p, '80']
    environment: {LEVEL: info}
    networks: {default: {}, front: {aliases: [shop]}}
    depends_on: {db: {condition: service_healthy}, init: {condition: service_completed_successfully}}
    stop_signal: SIGKILL
networks: {front: {}}
volumes: {data: {}}
";

#[test]
fn a_stack_comes_up_in_order_and_then_there_is_nothing_to_do() {
    let project = Project::new(CHAIN);
    insta::assert_snapshot!(project.plan(&[]), @r"
    create network NAME_default: it is not there
    create network NAME_front: it is not there
    create volume NAME_data: it is not there
    create container NAME-db-1: it is not there
    create container NAME-init-1: it is not there; after db is healthy
    create container NAME-web-1: it is not there; after db is healthy, init is done
    ");
    project.up(&[]);
    assert_eq!(project.entry("db-1")["health"], "healthy");
    assert_eq!(project.entry("init-1")["exit_code"], 0);
    assert_eq!(project.entry("web-1")["phase"], "running");
    let before = project.ids();
    assert_eq!(project.plan(&[]), "");
    assert!(project.up(&[]).contains("nothing to do"));
    assert_eq!(project.ids(), before);
    // Both networks, both names: its own and the alias.
    assert_eq!(
        project
            .ok(&["exec", "-T", "web", "sh", "-c", "nslookup shop >/dev/null && nslookup db >/dev/null && echo found"])
            .trim(),
        "found"
    );
}

#[test]
fn a_change_is_named_and_only_what_changed_is_made_anew() {
    let project = Project::new(CHAIN);
    project.up(&[]);
    let before = project.ids();
    project.write(&CHAIN.replace("LEVEL: info", "LEVEL: debug, MORE: 'yes'"));
    insta::assert_snapshot!(project.plan(&[]), @"recreate container NAME-web-1: environment.LEVEL, environment.MORE have changed; after db is healthy, init is done");
    project.up(&[]);
    let after = project.ids();
    assert_eq!((&before[0], &before[1]), (&after[0], &after[1]));
    assert_ne!(before[2].1, after[2].1);
    assert_eq!(project.ok(&["exec", "-T", "web", "sh", "-c", "echo $LEVEL $MORE"]).trim(), "debug yes");
    // The job was not run again, and what it wrote is there.
    assert_eq!(project.ok(&["exec", "-T", "db", "cat", "/data/log"]), "migrated\n");
    insta::assert_snapshot!(project.plan(&["--force-recreate", "--no-deps", "web"]), @"recreate container NAME-web-1: it is asked for; after db is healthy, init is done");
}

#[test]
fn scale_orphans_and_down() {
    let two = "services: {a: {image: BOX, command: sleep 1000, stop_signal: SIGKILL}, b: {image: BOX, command: sleep 1000, stop_signal: SIGKILL}}\n";
    let project = Project::new(two);
    project.up(&["--scale", "a=3"]);
    assert_eq!(project.entries().len(), 4);
    insta::assert_snapshot!(project.plan(&[]), @r"
    remove container NAME-a-2: 1 of a are wanted
    remove container NAME-a-3: 1 of a are wanted
    ");
    project.up(&["--scale", "a=2"]);
    assert_eq!(project.entries().len(), 3);
    project.write("services: {a: {image: BOX, command: sleep 1000, stop_signal: SIGKILL, scale: 2}}\n");
    assert!(project.up(&[]).contains("--remove-orphans"));
    insta::assert_snapshot!(project.plan(&["--remove-orphans"]), @"remove container NAME-b-1: the file has no service b");
    project.up(&["--remove-orphans"]);
    assert_eq!(project.entries().len(), 2);
    // By label: the file is not needed, and services that it no longer has go as well.
    std::fs::remove_file(project.path().join("compose.yaml")).unwrap();
    project.ok(&["-p", &project.name, "down"]);
    assert_eq!(project.remains(), 0);
}

#[test]
fn down_takes_every_profile_and_leaves_the_data_unless_told() {
    let file = "services:\n  \
        a: {image: BOX, command: [sh, -c, 'date >> /data/log; exec sleep 1000'], volumes: ['data:/data'], stop_signal: SIGKILL}\n  \
        extra: {image: BOX, command: sleep 1000, profiles: [more], stop_signal: SIGKILL}\nvolumes: {data: {}}\n";
    let project = Project::new(file);
    project.up(&["--profile", "more"]);
    assert_eq!(project.entries().len(), 2);
    project.ok(&["down"]);
    assert_eq!(project.remains(), 1, "the volume stays");
    project.up(&[]);
    assert_eq!(project.ok(&["exec", "-T", "a", "wc", "-l", "/data/log"]).trim(), "2 /data/log");
    // Nobody can be asked here, so nothing is deleted.
    let refused = project.run(&["down", "--volumes"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(project.entries().len(), 1);
    project.ok(&["down", "--volumes", "--yes"]);
    assert_eq!(project.remains(), 0);
}

#[test]
fn a_dry_run_changes_nothing() {
    let project = Project::new(CHAIN);
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    project.up(&[]);
    project.write(
        &CHAIN
            .replace("LEVEL: info", "LEVEL: debug")
            .replace("front: {}}", "front: {}, back: {}}")
            .replace("[front]", "[back]"),
    );
    // Every event of the engine that has to do with this project, while plans of all sorts are made.
    let from = now();
    for words in
        [&["--build"][..], &["--force-recreate"], &["--scale", "web=3", "--remove-orphans"], &["--pull", "missing"]]
    {
        assert_ne!(project.plan(words), "");
    }
    let until = now();
    let events = project.daemon.get(&format!("/events?since={from:.9}&until={until:.9}"));
    let own = events.iter().filter(|event| event.to_string().contains(&project.name));
    // Health checks go on by themselves.
    let changes: Vec<_> = own.filter(|event| !event["Action"].as_str().unwrap().starts_with("exec_")).collect();
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(std::fs::read_dir(project.path()).unwrap().count(), 1, "only the Compose file");
}

#[test]
fn what_a_killed_daemon_interrupted_is_finished() {
    let daemon = Daemon::apart("killed");
    let service = |number: u32| {
        let before = if number > 1 { format!("s{}", number - 1) } else { String::new() };
        format!(
            "  s{number}:\n    image: BOX\n    command: sleep 1000\n    stop_signal: SIGKILL\n    depends_on: [{before}]\n"
        )
    };
    let services = (1..=8).map(service).collect::<Vec<_>>().concat();
    let file = format!("services:\n{services}");
    let project = Project::on(&daemon, &file);
    // Killed while making, and killed while making anew.
    for (containers, level) in [(3, ""), (8, "    environment: {LEVEL: debug}\n")] {
        project.write(&file.replace("    command: sleep 1000\n", &format!("    command: sleep 1000\n{level}")));
        let mut up = project
            .command(&["up", "--detach"])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        eventually("some are made", || {
            project.daemon.get("/containers/json?all=1")[0].as_array().unwrap().len() > containers
        });
        daemon.kill();
        assert!(!up.wait().unwrap().success());
        daemon.start_again();
        project.up(&[]);
        assert_eq!(project.plan(&[]), "");
        let entries = project.entries();
        assert_eq!(entries.len(), 8, "{entries:?}");
        assert!(entries.iter().all(|entry| entry["phase"] == "running"), "{entries:?}");
        assert!(entries.iter().all(|entry| !entry["container"].as_str().unwrap().contains('_')), "{entries:?}");
    }
}

#[test]
fn an_interrupted_up_goes_on_with_the_next_one() {
    let file =
        CHAIN.replace("touch /tmp/ok; exec", "sleep 3; touch /tmp/ok; exec").replace("500ms", "500ms, retries: 50");
    let project = Project::new(&file);
    let up = project.command(&["up", "--detach"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    eventually("the first one runs", || project.entries().iter().any(|entry| entry["phase"] == "running"));
    let kill = std::process::Command::new("kill").args(["-INT", &up.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = up.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let id = project.entry("db-1")["id"].clone();
    project.up(&[]);
    assert_eq!(project.entry("db-1")["id"], id, "what ran goes on");
    assert_eq!(project.plan(&[]), "");
}

#[test]
fn files_hooks_limits_and_profiles_reach_the_container() {
    let project = Project::new(
        "services:\n  a:\n    image: BOX\n    command: sleep 1000\n    stop_signal: SIGKILL\n    profiles: [asleep]\n    \
         configs: [{source: text, target: /etc/app.conf, mode: 0440, uid: '7'}]\n    secrets: [key, {source: file, target: other}]\n    \
         post_start: [{command: [sh, -c, 'echo hook > /tmp/hook']}]\n    mem_limit: 32m\n    pids_limit: 50\n    init: true\n    \
         ulimits: {nofile: 512}\n    tmpfs: ['/scratch:size=1m']\n    sysctls: {net.core.somaxconn: 77}\n    \
         networks: {default: {}, back: {aliases: [other-name]}}\n\
         configs: {text: {content: 'word: ${WORD:-none}'}}\n\
         secrets: {key: {environment: SECRET_KEY}, file: {file: ./secret.txt}}\nnetworks: {back: {}}\n",
    );
    std::fs::write(project.path().join("secret.txt"), "from a file").unwrap();
    // Who names a service wants it, whether its profile is active or not.
    let mut command = project.command(&["up", "--detach", "a"]);
    let output = command.env("SECRET_KEY", "hunter2").env("WORD", "hello").output().unwrap();
    assert!(output.status.success(), "{}", super::support::err(&output));
    let inside = |line: &str| project.ok(&["exec", "-T", "a", "sh", "-c", line]);
    assert_eq!(inside("cat /etc/app.conf; stat -c ' %u %a' /etc/app.conf"), "word: hello 7 440\n");
    assert_eq!(inside("cat /run/secrets/key /run/secrets/other"), "hunter2from a file");
    assert_eq!(
        inside("cat /tmp/hook; ulimit -n; cat /proc/sys/net/core/somaxconn; cat /proc/1/comm"),
        "hook\n512\n77\ndocker-init\n"
    );
    assert!(inside("df -k /scratch").contains("1024"));
    assert!(inside("nslookup other-name").contains("other-name"));
    let id = project.entry("a-1")["id"].as_str().unwrap().to_owned();
    let inspected = &project.daemon.get(&format!("/containers/{id}/json"))[0];
    assert_eq!(inspected["HostConfig"]["Memory"], 32 << 20);
    assert_eq!(inspected["HostConfig"]["PidsLimit"], 50);
    assert!(!inspected["Config"].to_string().contains("hunter2"), "a secret is neither a label nor a variable");
}

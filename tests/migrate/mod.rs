//! Migrations against a real PostgreSQL: the running stack's, found without a flag.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::stack::Project;
use crate::support::api::Api;
use crate::support::backend::nowhere;
use crate::support::postgres::{PASSWORD, Server};
use crate::support::process::{Process, folder};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_schema_goes_forward_and_back_and_says_what_is_wrong() {
    let project = Project::new();
    project.ok(&["up", "postgres", "--detach"]);
    let migrate = |words: &[&str]| project.tool(&[&["migrate"], words].concat());
    let code = |words: &[&str]| migrate(words).status.code();
    let states = || -> Vec<String> {
        let steps: Vec<Value> = serde_json::from_str(&text(&migrate(&["status", "--output", "json"]).stdout)).unwrap();
        steps.iter().map(|step| step["state"].as_str().unwrap().to_owned()).collect()
    };

    assert_eq!(code(&["status", "--exit-code"]), Some(3), "all are pending");
    let planned = text(&migrate(&["run", "--dry-run"]).stdout);
    assert!(planned.contains("create table users") && planned.contains("create table outbox"), "{planned}");
    assert_eq!(code(&["status", "--exit-code"]), Some(3), "a dry run changes nothing");

    // Several at once: one works, the others find nothing to do.
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| code(&["run"]))).collect();
        assert!(runs.into_iter().all(|run| run.join().unwrap() == Some(0)));
    });
    assert_eq!(code(&["status", "--exit-code"]), Some(0));
    assert!(states().iter().all(|state| state == "applied"), "{:?}", states());

    let refused = migrate(&["revert"]);
    assert_eq!(refused.status.code(), Some(1), "nobody can be asked");
    assert_eq!(code(&["revert", "--yes"]), Some(0));
    assert_eq!(states(), ["applied", "pending"]);
    assert_eq!(code(&["run"]), Some(0));

    // Each way in which it can be wrong is told apart.
    project.sql("update _sqlx_migrations set checksum = '\\x00' where version = 1");
    let changed = migrate(&["run"]);
    assert_eq!(changed.status.code(), Some(1));
    let said = text(&changed.stderr);
    assert!(said.contains("0001") && said.contains("changed"), "{said}");

    project.sql("update _sqlx_migrations set success = false where version = 2");
    assert!(states().iter().any(|state| state == "dirty"), "{:?}", states());
    project.sql("insert into _sqlx_migrations values (99, 'gone', now(), true, '\\x00', 1)");
    assert!(states().iter().any(|state| state == "missing"), "{:?}", states());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_named_in_parts_and_reached_as_rds_is() {
    let server = Server::strict().await;
    let (port, certificate) = (server.port.to_string(), server.certificate());
    let parts = [
        ("DATABASE_HOST", "127.0.0.1"),
        ("DATABASE_PORT", &port),
        ("DATABASE_NAME", "app"),
        ("DATABASE_USER", "app"),
        ("DATABASE_PASSWORD", PASSWORD),
    ];
    let at = folder();
    let migrate = |more: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        command.current_dir(at.path()).args(["migrate", "run"]).env_remove("DATABASE_URL");
        let ran = command.envs(parts).envs(more.iter().copied()).output().unwrap();
        let said = text(&ran.stdout) + &text(&ran.stderr);
        assert!(!said.contains("p@ss"), "{said}");
        (ran.status.code(), said)
    };
    let (code, said) = migrate(&[("DATABASE_SSL", "disable")]);
    assert!(code == Some(4) && said.contains("no encryption"), "{said}");
    let (code, said) = migrate(&[("DATABASE_SSL", "verify-full")]);
    assert!(code == Some(4) && said.contains("certificate"), "{said}");
    let (code, said) = migrate(&[("DATABASE_PASSWORD", "p@ss:wrong")]);
    assert!(code == Some(4) && said.contains("password authentication failed"), "{said}");
    let (code, said) = migrate(&[("DATABASE_PASSWORD", "")]);
    assert!(code == Some(2) && said.contains("without DATABASE_PASSWORD"), "{said}");
    let (code, said) = migrate(&[("DATABASE_SSL", "verify-full"), ("SSL_CERT_FILE", certificate.to_str().unwrap())]);
    assert!(code == Some(0) && said.contains("2 migrations applied"), "{said}");

    let address = nowhere();
    let (keys, kafka) = (format!("test:{}", "t".repeat(40)), nowhere());
    let more = [("KAFKA_BROKERS", kafka.as_str()), ("JWT_KEYS", &keys), ("DATABASE_SSL", "require")];
    let variables: Vec<(&str, &str)> = parts.into_iter().chain(more).collect();
    let command = [env!("CARGO_BIN_EXE_streamify"), "serve", "--listen", &address];
    let _serving = Process::start(&command, &at.path().join("log"), &variables);
    let live = async || reqwest::get(format!("http://{address}/health/live")).await.is_ok();
    let up = async {
        while !live().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), up).await.expect("it answers");
    Api::new(&address).as_new_user("ada").await;
}

#[test]
fn a_new_migration_gets_the_next_number_and_overwrites_nothing() {
    let project = Project::new();
    let folder = project.path().join("migrations");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("0007_before.up.sql"), "select 1;").unwrap();
    let added = project.tool(&["migrate", "add", "Videos get a duration", "--folder", "migrations"]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    for way in ["up", "down"] {
        assert!(folder.join(format!("0008_videos_get_a_duration.{way}.sql")).is_file(), "{way}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("0007_before.up.sql")).unwrap(), "select 1;");
}

/// Runs `migrate check` on `migrations` in a folder, as a script would.
fn check(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
    command.current_dir(folder).args(["migrate", "check", "--folder", "migrations"]).args(words);
    command.env_remove("DATABASE_URL").output().unwrap()
}

#[test]
fn a_migration_that_hurts_is_found_without_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join("migrations").join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    file("0001_tags.up.sql", "create table tags (id int primary key, name text);\ncreate index on tags (name);\n");
    file("0001_tags.down.sql", "drop table tags;\n");
    let clean = check(folder.path(), &[]);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean.stderr));
    assert_eq!(text(&clean.stdout), "✔ 1 migration checked, nothing found\n");

    file("0002_no_name.up.sql", "alter table tags\n    drop column name;\n");
    file("0002_no_name.down.sql", "alter table tags add column name text;\n");
    let found = check(folder.path(), &[]);
    assert_eq!(found.status.code(), Some(1));
    assert_eq!(
        text(&found.stdout),
        "migrations/0002_no_name.up.sql:2:5 drop-column\n  \
           drop column name;\n  \
           does:  the data of `tags.name` is gone when this commits, and the running version's queries that name it fail\n  \
           safer: release a version that no longer uses it; drop it in the release after, with an allow that says so\n"
    );
    assert!(text(&found.stderr).starts_with("error: 2 migrations checked, 1 finding\n"), "{}", text(&found.stderr));

    let shown: Value = serde_json::from_str(&text(&check(folder.path(), &["--output", "json"]).stdout)).unwrap();
    let finding = &shown["findings"][0];
    assert_eq!((&shown["migrations"], &finding["rule"]), (&2.into(), &"drop-column".into()));
    assert_eq!((&finding["line"], &finding["column"]), (&2.into(), &5.into()));
    assert!(text(&check(folder.path(), &["--colour", "always"]).stdout).contains("\u{1b}[1m"), "colours on demand");

    assert_eq!(check(folder.path(), &["--since", "2"]).status.code(), Some(0));
    assert_eq!(check(folder.path(), &["--since", "3"]).status.code(), Some(2), "no such version");
    let allow = "-- streamify:allow drop-column no version ever used it\n";
    file("0002_no_name.up.sql", &format!("{allow}alter table tags\n    drop column name;\n"));
    assert_eq!(check(folder.path(), &[]).status.code(), Some(0));
    file("0002_no_name.up.sql", &format!("{allow}select 1;\n"));
    assert!(text(&check(folder.path(), &[]).stdout).starts_with("migrations/0002_no_name.up.sql:1:1 allow\n"));
}

#[test]
fn the_help_of_check_lists_every_rule() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&check(folder.path(), &["--help"]).stdout);
    for rule in streamify::migrate::check::Rule::ALL {
        assert!(help.contains(&format!("\n  {rule:28}")), "{rule} in {help}");
    }
}

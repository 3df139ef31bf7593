//! Migrations against a real PostgreSQL: the running stack's, found without a flag.

use serde_json::Value;

use crate::stack::Project;

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

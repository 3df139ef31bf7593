//! Each rule: what it finds and where, and that the safer way passes.

use std::fs;
use std::path::Path;

use super::*;

/// A folder of migrations, in the order of their numbers; each gets a down file.
fn folder(ups: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, up) in (1..).zip(ups) {
        fs::write(folder.path().join(format!("{number:04}_m.up.sql")), up).unwrap();
        fs::write(folder.path().join(format!("{number:04}_m.down.sql")), "select 1;").unwrap();
    }
    folder
}

fn look(folder: &Path) -> Vec<(String, usize, usize, Rule)> {
    let findings = check(Path::new(""), folder, None).unwrap().findings;
    let name = |finding: &Finding| Path::new(&finding.file).file_name().unwrap().to_str().unwrap().to_owned();
    findings.iter().map(|finding| (name(finding), finding.line, finding.column, finding.rule)).collect()
}

/// Rules and places in the last of some up files; the ones before must be clean.
fn found(ups: &[&str]) -> Vec<(Rule, usize, usize)> {
    let folder = folder(ups);
    let last = format!("{:04}_m.up.sql", ups.len());
    let place = |(name, line, column, rule): (String, usize, usize, Rule)| {
        assert_eq!(name, last, "{rule} in {name} at {line}:{column}");
        (rule, line, column)
    };
    look(folder.path()).into_iter().map(place).collect()
}

fn one(sql: &str) -> Vec<(Rule, usize, usize)> {
    found(&[sql])
}

/// The only finding of the SQL is this rule's, at the mark.
#[track_caller]
fn bad(rule: Rule, marked: &str) {
    let (before, after) = marked.split_once('¦').unwrap();
    let (line, column) = (before.split('\n').count(), before.split('\n').next_back().unwrap().chars().count() + 1);
    assert_eq!(one(&format!("{before}{after}")), [(rule, line, column)], "{marked}");
}

#[track_caller]
fn good(ups: &[&str]) {
    assert_eq!(found(ups), [], "{ups:#?}");
}

#[test]
fn the_embedded_migrations_are_clean() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked = check(directory, Path::new("app/backend/migrations"), None).unwrap();
    assert_eq!(checked.findings, []);
    let embedded = streamify_backend::MIGRATOR.iter().filter(|one| one.migration_type.is_up_migration());
    assert_eq!(checked.migrations, embedded.count());
}

#[test]
fn a_new_migration_is_found_only_for_what_is_still_to_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let [up, _] = super::super::add::add(folder.path(), "tags").unwrap();
    assert_eq!(look(folder.path()), [("0001_tags.down.sql".into(), 2, 1, Rule::MissingDown)]);
    fs::write(&up, "-- no-transaction\ncreate index concurrently i on t (a)").unwrap();
    assert_eq!(look(folder.path()).len(), 1);
}

#[test]
fn dropped_columns_and_tables() {
    bad(Rule::DropColumn, "alter table t   ¦drop column a;");
    bad(Rule::DropColumn, "alter table if exists only (public.t) *\n  ¦drop a cascade");
    bad(Rule::DropColumn, "alter table t drop constraint if exists c, ¦drop if exists \"A\"");
    bad(Rule::DropTable, "/* ü */ drop table if exists ¦t cascade");
    assert_eq!(one("drop table a, s.b"), [(Rule::DropTable, 1, 12), (Rule::DropTable, 1, 15)]);
    bad(Rule::DropTable, "¦drop schema s cascade");
    bad(Rule::DropTable, "¦drop owned by app");
    good(&["drop schema s; drop view v; drop function f(); drop type e; drop index i; drop trigger x on t"]);
    good(&["alter table t drop constraint c; alter table t alter a drop not null, alter column a drop default"]);
}

#[test]
fn renamed_columns_and_tables() {
    bad(Rule::RenameColumn, "alter table t ¦rename column a to b");
    bad(Rule::RenameColumn, "alter table t ¦rename a to b");
    bad(Rule::RenameTable, "alter table t ¦rename to u");
    bad(Rule::RenameTable, "alter table t ¦set schema s");
    good(&["alter table t rename constraint a to b; alter index i rename to j"]);
    good(&["alter table t rename to u; create view t as select * from u"]);
}

#[test]
fn changed_types() {
    bad(Rule::ChangeType, "alter table t ¦alter column a type bigint using a::bigint");
    bad(Rule::ChangeType, "alter table t ¦alter type set data type text");
    good(&["alter table t alter column type set default 1, alter a set statistics 100, alter a set storage external"]);
    good(&["alter type e add value 'b' before 'a'"]);
}

#[test]
fn indexes() {
    bad(Rule::IndexNotConcurrent, "¦create unique index if not exists i on t using btree (lower(a)) where b");
    bad(Rule::IndexNotConcurrent, "¦create index on s.t (a)");
    bad(Rule::IndexNotConcurrent, "¦reindex (verbose) table t");
    bad(Rule::IndexNotConcurrent, "¦reindex index i");
    good(&["-- no-transaction\ncreate index concurrently if not exists i on t (a);"]);
    good(&["-- no-transaction\nreindex table concurrently t"]);
    good(&["-- no-transaction\ndrop index concurrently if exists i;"]);
    good(&["create index on only t (a)"]);
}

#[test]
fn concurrently_needs_a_file_of_its_own_outside_transactions() {
    bad(Rule::ConcurrentlyInTransaction, "¦create index concurrently i on t (a)");
    bad(Rule::ConcurrentlyInTransaction, "--no-transaction\n¦create index concurrently i on t (a)");
    bad(Rule::ConcurrentlyInTransaction, "\n¦drop index concurrently i");
    bad(Rule::ConcurrentlyInTransaction, "alter table t ¦detach partition p concurrently");
    bad(Rule::ConcurrentlyInTransaction, "¦reindex (concurrently) table t");
    // Several statements at once are a transaction, whoever asks for none.
    bad(
        Rule::ConcurrentlyInTransaction,
        "-- no-transaction\nset lock_timeout = '3s';\n¦create index concurrently i on t (a)",
    );
    bad(
        Rule::ConcurrentlyInTransaction,
        "-- no-transaction\ndo $$ begin ¦create index concurrently i on t (a); end $$",
    );
    let folder = folder(&["-- no-transaction\ncreate index concurrently i on t (a)"]);
    fs::write(folder.path().join("0001_m.down.sql"), "drop index concurrently i; drop table x").unwrap();
    assert_eq!(look(folder.path()), [("0001_m.down.sql".into(), 1, 1, Rule::ConcurrentlyInTransaction)]);
}

#[test]
fn a_file_does_not_end_its_own_transaction() {
    bad(Rule::EndsTransaction, "begin; select 1; ¦commit");
    bad(Rule::EndsTransaction, "¦rollback; select 1");
    good(&["savepoint s; select 1; rollback to s; release savepoint s"]);
    good(&["-- no-transaction\nbegin; select 1; commit"]);
}

#[test]
fn constraints_that_look_at_every_row() {
    bad(
        Rule::ForeignKeyValidated,
        "alter table t ¦add constraint c foreign key (a) references b (id) on delete set null",
    );
    bad(Rule::ForeignKeyValidated, "alter table t ¦add foreign key (a) references b");
    bad(Rule::ForeignKeyValidated, "alter table t add column a int default 1 ¦references b");
    bad(Rule::CheckValidated, "alter table t ¦add constraint c check (a > 0 and a is not null)");
    bad(Rule::CheckValidated, "alter table t add a int ¦check (a > 0)");
    good(&[
        "alter table t add constraint c foreign key (a) references b (id) not valid",
        "alter table t validate constraint c",
    ]);
    good(&["alter table t add constraint c check (a > 0) no inherit not valid", "alter table t validate constraint c"]);
    // Nothing to check where the new column has no value in any row.
    good(&["alter table t add column a int references b (id)"]);
    good(&["alter table t add column a int references b (id) on delete set default"]);
    bad(Rule::ForeignKeyValidated, "alter table t add column a int default null ¦references b (id)");
}

#[test]
fn validating_in_the_migration_that_adds_gains_nothing() {
    let add = "alter table t add constraint c check (a > 0) not valid;";
    bad(Rule::ValidateWithAdd, &format!("{add}\nalter table t ¦validate constraint C"));
    good(&[&format!("{add} alter table t validate constraint other")]);
    good(&[&format!("{add} alter table u validate constraint c")]);
}

#[test]
fn constraints_that_build_an_index() {
    bad(Rule::ConstraintBuildsIndex, "alter table t ¦add constraint c unique nulls not distinct (a)");
    bad(Rule::ConstraintBuildsIndex, "alter table t ¦add primary key (a)");
    bad(Rule::ConstraintBuildsIndex, "alter table t ¦add exclude using gist (a with &&)");
    bad(Rule::ConstraintBuildsIndex, "alter table t add column a int ¦unique");
    good(&[
        "-- no-transaction\ncreate unique index concurrently i on t (a)",
        "alter table t add constraint c unique using index i",
        "alter table t add constraint d primary key using index j",
    ]);
    good(&["alter table t add exclude int"]);
}

#[test]
fn not_null_of_old_columns() {
    let (add, validate) =
        ("alter table t add constraint c check ((a is not null)) not valid", "alter table t validate constraint c");
    let set = "alter table t alter a set not null; alter table t drop constraint c";
    bad(Rule::SetNotNull, &set.replace("alter a", "¦alter a"));
    bad(Rule::SetNotNull, "alter table t ¦add constraint n not null a");
    good(&[add, validate, set]);
    let at_once = "alter table t alter a set not null, drop constraint c";
    assert_eq!(found(&[add, validate, at_once]), [(Rule::SetNotNull, 1, 15)], "the drop comes first");
    good(&["alter table t add constraint n not null a not valid", "alter table t validate constraint n"]);
    for unproven in [
        "alter table t add constraint c check (a is not null or b) not valid",
        "alter table t add constraint c check (b is not null) not valid",
        "alter table u add constraint c check (a is not null) not valid",
    ] {
        assert_eq!(found(&[unproven, validate, set]), [(Rule::SetNotNull, 1, 15)], "{unproven}");
    }
    assert_eq!(found(&[add, set]), [(Rule::SetNotNull, 1, 15)], "not validated");
    let dropped = "alter table t drop constraint c";
    assert_eq!(found(&[add, validate, dropped, set]), [(Rule::SetNotNull, 1, 15)], "no longer there");
}

#[test]
fn added_columns() {
    bad(Rule::NotNullWithoutDefault, "alter table t add column a text ¦not null");
    bad(Rule::NotNullWithoutDefault, "alter table t add if not exists a text ¦not null default null");
    bad(Rule::VolatileDefault, "alter table t ¦add column a uuid not null default gen_random_uuid()");
    bad(Rule::VolatileDefault, "alter table t ¦add a bigserial");
    bad(Rule::VolatileDefault, "alter table t ¦add a int generated always as (b * 2) stored");
    good(&["alter table t add column a int not null generated always as (1) virtual"]);
    good(&["alter table t add column a text, alter column a set default gen_random_uuid()::text"]);
    good(&["alter table t add column a timestamptz not null default now(), add b varchar(20) default 'x'"]);
}

#[test]
fn emptied_and_rewritten_tables() {
    assert_eq!(
        one("truncate table only (a), b * restart identity"),
        [(Rule::Truncate, 1, 22), (Rule::Truncate, 1, 26)]
    );
    for sql in ["¦vacuum full t", "¦vacuum (analyze, full) t", "¦cluster t using i", "¦refresh materialized view v"]
    {
        bad(Rule::RewriteTable, sql);
    }
    bad(Rule::RewriteTable, "alter table t ¦set unlogged");
    good(&["vacuum (analyze) t; refresh materialized view concurrently v; alter table t set (fillfactor = 70)"]);
}

#[test]
fn what_a_migration_makes_itself_is_nobodys_yet() {
    good(&["create table if not exists public.t (a int);
        create index i on T (a);
        alter table t add constraint c check (a > 0), add unique (a), alter a set not null, drop b, rename to u;
        alter table u rename a to b;
        alter table u add column c uuid not null default gen_random_uuid();
        truncate u;
        create temp table x as select 1; cluster x using y; drop table x;
        select a into y from u; drop table y;
        with z as (insert into u values (1) returning a) select * into w from z; drop table w;
        create materialized view m as select 1; create unique index on m (a); refresh materialized view m"]);
    bad(Rule::DropTable, "drop table ¦t; create table t (a int); create index on t (a)");
    bad(Rule::DropTable, "create table t (a int); insert into u select 1; drop table ¦u");
    bad(Rule::IndexNotConcurrent, "create table a.t (a int);\n¦create index on b.t (a)");
    assert_eq!(found(&["create table t (a int)", "create index on t (a)"]), [(Rule::IndexNotConcurrent, 1, 1)]);
}

#[test]
fn commands_in_blocks_are_found_and_bodies_of_functions_are_not() {
    bad(
        Rule::DropColumn,
        "do $$ declare x int; begin\n  perform 1;\n  if x > 1 then alter table t ¦drop column a; end if;\nend $$",
    );
    good(&["create function f() returns trigger language plpgsql as $$ begin truncate t; return null; end $$"]);
    good(&["do $$ begin raise notice 'drop table %', 't,,'; end; $$ language plpgsql"]);
}

#[test]
fn what_sql_allows_is_read() {
    good(&[
        "set local lock_timeout = '3s'; comment on table t is 'drop table t;'; select 'it''s', E'\\'', $1, a[1:2], (1, 2);
         create rule r as on insert to t do also (select 1; select 2);
         create function f() returns int begin atomic select case when true then 1 end; select 2; end;
         create operator === (leftarg = int, rightarg = int, function = f); create cast (int as text) with function f;
         alter table t attach partition p for values from (1) to (2); alter table t enable row level security, force row level security;
         alter table t replica identity full; alter table t owner to bob; alter table t no inherit u; alter table t not of;
         alter table all in tablespace x set tablespace y; security label on table t is 'x'; alter system set x = 1;
         insert into t (a) values (1) on conflict (a) do update set a = excluded.a; copy t (a) to stdout; (select 1);",
    ]);
}

#[test]
fn what_cannot_be_read_is_found_with_its_place() {
    for sql in [
        "select 1;\nselect ¦'ü\n;",
        "select 1;\n  select ¦$x$ $$;",
        "select ¦/* a /* b */;",
        "select ¦(1;\nselect 2",
        "select 1¦);",
        "select 1;\n¦creat table t (a int)",
        "create table t (a int,¦, b int)",
        "create table t (a int¦,)",
        "¦\\connect x",
        "¦\u{feff}select 1",
        "alter table t ¦dorp column a",
        "alter table ¦1 add a int",
    ] {
        bad(Rule::Unreadable, sql);
    }
    // What stands before is checked all the same.
    assert_eq!(one("drop table t;\nselect '"), [(Rule::DropTable, 1, 12), (Rule::Unreadable, 2, 8)]);
    let folder = folder(&[""]);
    fs::write(folder.path().join("0001_m.up.sql"), b"select 1;\nselect '\xff'").unwrap();
    fs::write(folder.path().join("0001_m.down.sql"), "drop table t;\n(").unwrap();
    let expected = [("0001_m.down.sql", 2, 1), ("0001_m.up.sql", 2, 9)];
    assert_eq!(look(folder.path()), expected.map(|(name, line, column)| (name.into(), line, column, Rule::Unreadable)));
}

#[test]
fn an_allow_takes_away_one_rule_of_one_statement() {
    let two = "-- streamify:allow change-type the same bytes\n-- streamify:allow drop-column never filled\n-- more\n\n";
    good(&[&format!("{two}alter table t alter a type text, drop b, drop c;")]);
    good(&["alter table t\n  -- streamify:allow drop-column nobody used it\n  drop column a;"]);
    bad(Rule::DropTable, "-- streamify:allow drop-table nobody used it\ndrop table a;\ndrop table ¦b;");
    assert_eq!(
        one("drop table a; -- streamify:allow drop-table too late"),
        [(Rule::DropTable, 1, 12), (Rule::Allow, 1, 15)]
    );
    assert_eq!(one("-- streamify:allow drop-table\ndrop table a"), [(Rule::Allow, 1, 1), (Rule::DropTable, 2, 12)]);
    assert_eq!(one("-- streamify:allow drop-tabel why\ndrop table a"), [(Rule::Allow, 1, 1), (Rule::DropTable, 2, 12)]);
    bad(Rule::Allow, "¦--streamify:allow drop-column why\nselect 1");
    bad(Rule::Allow, "select 1;\n¦-- streamify:allow allow why");
    good(&["select '\n-- streamify:allow drop-table\n'"]);
}

#[test]
fn each_migration_can_be_taken_back_or_says_why_not() {
    let folder = folder(&["-- first\nselect 1", "select 2", "select 3"]);
    let path = |name: &str| folder.path().join(name);
    fs::remove_file(path("0001_m.down.sql")).unwrap();
    fs::write(path("0002_m.down.sql"), "-- nothing\n").unwrap();
    fs::write(path("0003_m.down.sql"), "set local lock_timeout = '3s';").unwrap();
    let missing = |name: &str, line| (name.to_owned(), line, 1, Rule::MissingDown);
    let expected = [missing("0001_m.up.sql", 2), missing("0002_m.down.sql", 1), missing("0003_m.down.sql", 1)];
    assert_eq!(look(folder.path()), expected);

    let allow = "-- streamify:allow missing-down the data is gone\n";
    fs::write(path("0001_m.up.sql"), format!("{allow}select 1")).unwrap();
    fs::write(path("0002_m.down.sql"), allow).unwrap();
    fs::write(path("0003_m.down.sql"), format!("{allow}set local lock_timeout = '3s';")).unwrap();
    assert_eq!(look(folder.path()), []);
}

#[test]
fn files_that_are_never_run_are_found() {
    let folder = folder(&["select 1"]);
    for name in ["0001_other.up.sql", "0002_alone.down.sql", "3-wrong.sql", "x_wrong.up.sql"] {
        fs::write(folder.path().join(name), "select 1").unwrap();
    }
    fs::write(folder.path().join("README.md"), "no migration").unwrap();
    let names: Vec<String> = look(folder.path())
        .into_iter()
        .map(|(name, line, column, rule)| {
            assert_eq!((line, column, rule), (1, 1, Rule::FileName), "{name}");
            name
        })
        .collect();
    assert_eq!(names, ["3-wrong.sql", "x_wrong.up.sql", "0001_other.up.sql", "0002_alone.down.sql"]);
}

#[test]
fn since_leaves_out_what_is_applied_and_remembers_what_it_proved() {
    let add = "alter table t add constraint c check (a is not null) not valid";
    let ups = [add, "drop table x; alter table t validate constraint c", "alter table t alter a set not null"];
    let folder = folder(&ups);
    let since = |version| check(Path::new(""), folder.path(), Some(version));
    assert_eq!((since(0).unwrap().migrations, since(0).unwrap().findings.len()), (3, 1));
    assert_eq!((since(2).unwrap().migrations, since(2).unwrap().findings), (1, vec![]));
    assert!(since(9).unwrap_err().message.contains("no migration 9"));
}

#[test]
fn a_folder_without_migrations_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str| check(folder.path(), Path::new(name), None).unwrap_err().message;
    assert_eq!(message("gone"), "there is no folder gone");
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(message("empty"), "there is no migration in empty");
}

#[test]
fn a_finding_shows_its_line_and_both_ways() {
    let folder = folder(&["select 1;\n\tdrop table videos;\n"]);
    let findings = check(folder.path(), Path::new("."), None).unwrap().findings;
    let expected = Finding {
        file: "./0001_m.up.sql".into(),
        line: 2,
        column: 13,
        rule: Rule::DropTable,
        source: "drop table videos;".into(),
        what: "all of `videos` is gone when this commits, and the running version's queries of it fail".into(),
        safer: "release a version that no longer uses it; drop it in the release after, with an allow that says so"
            .into(),
    };
    assert_eq!(findings, [expected]);
}

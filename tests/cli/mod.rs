//! The tool as scripts see it: output, exit codes, messages.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn streamify(folder: &Path, arguments: &[&str]) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
    command.current_dir(folder).args(arguments).env_clear().env("PATH", path);
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn init_starts_a_project_that_is_valid_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".gitignore"), "target").unwrap();
    let output = streamify(folder.path(), &["init", "--name", "cinema"]);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(fs::read_to_string(folder.path().join(".gitignore")).unwrap(), "target\n.streamify/\n.env\n");

    let checked = streamify(folder.path(), &["config", "check", "--output", "json"]);
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    let shown = streamify(folder.path(), &["config", "show", "--output", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&out(&shown)).unwrap();
    let name = shown["settings"].as_array().unwrap().iter().find(|entry| entry["key"] == "name").unwrap();
    assert_eq!((&name["value"], &name["source"]), (&"cinema".into(), &"file".into()));

    let again = streamify(folder.path(), &["init"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("is there already"), "{}", err(&again));
}

#[test]
fn init_makes_secrets_once_and_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    fs::write(&file, "export POSTGRES_PASSWORD=mine\nKAFKA_PORT=1").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let output = streamify(folder.path(), &["init", "--secrets", "--output", "json"]);
    assert!(output.status.success(), "{}", err(&output));
    let told: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(told["secrets"], serde_json::json!(["JWT_KEYS"]));
    let text = fs::read_to_string(&file).unwrap();
    let (kept, made) = text.split_once("JWT_KEYS=dev:").unwrap();
    assert_eq!(kept, "export POSTGRES_PASSWORD=mine\nKAFKA_PORT=1\n");
    assert!(made.trim().len() == 64 && made.trim().chars().all(|c| c.is_ascii_hexdigit()), "{made}");
    assert!(!out(&output).contains(made.trim()));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(folder.path().join(".gitignore")).unwrap().contains(".env"));
    assert!(!folder.path().join("streamify.yaml").exists());

    let again = streamify(folder.path(), &["init", "--secrets"]);
    assert!(again.status.success() && out(&again).contains("nothing to do"), "{}", err(&again));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    // Two projects never share a secret.
    let other = tempfile::tempdir().unwrap();
    assert!(streamify(other.path(), &["init"]).status.success());
    let other = fs::read_to_string(other.path().join(".env")).unwrap();
    assert!(other.contains("POSTGRES_PASSWORD=") && !other.contains(made.trim()), "{other}");
}

#[test]
fn a_check_says_whether_the_server_here_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let address = format!("0.0.0.0:{port}");
    let check = ["serve", "--page", "--check", "--listen", &address];
    let output = streamify(folder.path(), &check);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains(&format!("nothing answers at http://127.0.0.1:{port}/health/live")),
        "{}",
        err(&output)
    );

    let mut page = Command::new(env!("CARGO_BIN_EXE_streamify"));
    page.current_dir(folder.path()).args(["serve", "--page", "--listen", &format!("127.0.0.1:{port}")]);
    let mut page = page.stderr(std::process::Stdio::null()).spawn().unwrap();
    crate::support::process::eventually("it answers", || streamify(folder.path(), &check).status.success());
    page.kill().unwrap();
    page.wait().unwrap();

    // What the API says while Kafka is away; here it comes from a socket of the test's own.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 64];
        let read = std::io::Read::read(&mut stream, &mut request).unwrap();
        let text = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 10\r\nconnection: close\r\n\r\nkafka: off";
        std::io::Write::write_all(&mut stream, text.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let output = streamify(folder.path(), &["serve", "--check", "--listen", &address]);
    assert!(answer.join().unwrap().starts_with("GET /health/ready "));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("503") && err(&output).contains("kafka: off"), "{}", err(&output));
}

#[test]
fn a_broken_file_is_named_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("streamify.yaml"), "name: app\ndev:\n  prots: {}\n").unwrap();
    let output = streamify(folder.path(), &["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let text = err(&output).replace(&folder.path().canonicalize().unwrap().display().to_string(), "PROJECT");
    assert_eq!(
        text,
        "error: PROJECT/streamify.yaml:3:3: the configuration is not valid\n  \
         cause: unknown field `prots`, expected one of data, wait_timeout, runtime, ports\n  \
         cause:   prots: {}\n           ^\n  \
         hint: Did you mean `ports`?\n"
    );
}

#[test]
fn errors_are_json_for_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let output = streamify(folder.path(), &["--output", "json", "-C", "missing", "config", "show"]);
    assert_eq!(output.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_str(&err(&output)).unwrap();
    assert_eq!((&error["kind"], &error["exit_code"]), (&"usage".into(), &2.into()));
    assert!(out(&output).is_empty());
}

#[test]
fn serve_says_what_it_needs_and_never_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let output = streamify(folder.path(), &["serve"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("neither DATABASE_URL nor DATABASE_HOST is set"), "{}", err(&output));

    let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
    command.current_dir(&folder).arg("serve").env("DATABASE_URL", "mysql://u:hunter2secret@h/d");
    command.env("KAFKA_BROKERS", "127.0.0.1:1").env("JWT_KEYS", "key:topsecret");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = err(&output);
    assert!(!text.contains("hunter2secret") && !text.contains("topsecret"), "{text}");
}

#[test]
fn the_schema_and_every_completion_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let schema: serde_json::Value =
        serde_json::from_str(&out(&streamify(folder.path(), &["config", "schema"]))).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(out(&streamify(folder.path(), &["completions", shell])).contains("migrate"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("'{}' completions bash | head -c 1; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_streamify"));
    let output = Command::new("bash").args(["-c", &script]).current_dir(&folder).output().unwrap();
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
}

#[test]
fn an_unreachable_broker_has_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let output = streamify(folder.path(), &["kafka", "topics", "--brokers", "127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    assert!(err(&output).contains("hint:"), "{}", err(&output));
}

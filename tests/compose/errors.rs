//! What people read when a file is wrong: every invalid case with its message, as it is printed.

use std::fmt::Write as _;

use super::{cases, text};

#[test]
fn every_message() {
    let mut all = String::new();
    for case in cases("invalid") {
        let output =
            case.run(std::path::Path::new(env!("CARGO_BIN_EXE_streamify")), &["dev", "config", "--quiet"], &[]);
        let message = text(&output.stderr).replace(&case.folder.display().to_string(), "FOLDER");
        writeln!(all, "{}\n{message}", case.name).unwrap();
        assert!(output.stdout.is_empty(), "{} prints a result", case.name);
        assert!(message.contains("error: "), "{} has no message: {message}", case.name);
        assert!(message.contains("hint: "), "{} has no hint: {message}", case.name);
    }
    insta::assert_snapshot!(all);
}

//! Whatever a file holds, the answer is a project or a failure with a place: never a panic, never a wait without end.

use std::fs;
use std::time::{Duration, Instant};

use streamify::stack::compose::{Request, json, load};

use super::cases;

/// The same sequence in every run, so that what fails fails again.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}

#[test]
fn damaged_files_are_answered() {
    let texts: Vec<String> = cases("valid")
        .iter()
        .chain(&cases("invalid"))
        .filter_map(|case| {
            let file = case.arguments.get(1).filter(|_| case.arguments.first().is_some_and(|flag| flag == "-f"))?;
            fs::read_to_string(case.folder.join(file)).ok()
        })
        .collect();
    assert!(texts.len() > 100, "{} files", texts.len());
    let fragments = [
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "\n",
        "\"",
        "'",
        "${",
        "$",
        "*a",
        "&a ",
        "<<: ",
        "!reset ",
        "!override ",
        "~",
        "-1",
        "x:y:z",
        "null",
        "\t",
        "ü",
    ];
    let folder = tempfile::tempdir().unwrap();
    let request = Request {
        here: folder.path().to_path_buf(),
        files: vec!["compose.yaml".into()],
        profiles: vec!["*".to_owned()],
        ..Request::default()
    };
    let mut sequence = Sequence(0x5eed_1234_5678_9abc);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..1500 {
        let mut text: Vec<char> = texts[sequence.below(texts.len())].chars().collect();
        for _ in 0..=sequence.below(3) {
            let at = sequence.below(text.len());
            match sequence.below(4) {
                0 => drop(text.drain(at..(at + sequence.below(8)).min(text.len()))),
                1 => {
                    let other: Vec<char> = texts[sequence.below(texts.len())].chars().collect();
                    let from = sequence.below(other.len());
                    let to = (from + sequence.below(60)).min(other.len());
                    text.splice(at..at, other[from..to].iter().copied());
                }
                _ => drop(text.splice(at..at, fragments[sequence.below(fragments.len())].chars())),
            }
        }
        let text: String = text.into_iter().collect();
        fs::write(folder.path().join("compose.yaml"), &text).unwrap();
        let began = Instant::now();
        match load(&request) {
            Ok(project) => {
                accepted += 1;
                json(&project).unwrap();
            }
            Err(failure) => {
                refused += 1;
                assert_eq!(failure.kind.exit_code(), 2, "round {round}: {failure}\n{text}");
                assert!(
                    failure.to_string().contains("compose.yaml") || failure.to_string().contains("problems"),
                    "{failure}"
                );
            }
        }
        assert!(began.elapsed() < Duration::from_secs(60), "round {round} took too long:\n{text}");
    }
    assert!(accepted > 50 && refused > 500, "{accepted} accepted, {refused} refused");
}

#[test]
fn depth_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let request = Request { here: folder.path().to_path_buf(), ..Request::default() };
    // Aliases put what they name one level deeper each.
    let chain: Vec<String> = (1..400).map(|level| format!("x-{level}: &a{level} [*a{}]", level - 1)).collect();
    fs::write(
        folder.path().join("compose.yaml"),
        format!("services: {{a: {{image: x}}}}\nx-0: &a0 1\n{}", chain.join("\n")),
    )
    .unwrap();
    load(&request).unwrap();
    for text in ["[".repeat(100_000), format!("x-a: {}", "{a: ".repeat(100_000)), "- ".repeat(100_000)] {
        fs::write(folder.path().join("compose.yaml"), text).unwrap();
        assert_eq!(load(&request).unwrap_err().kind.exit_code(), 2);
    }
}

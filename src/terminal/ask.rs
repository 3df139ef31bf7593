//! Questions, on standard error, to whoever sits in front of the terminal.

use std::io::{self, BufRead, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::Terminal;
use crate::failure::{Failure, Result};

impl Terminal {
    /// Whether every question is answered with yes.
    pub fn assumes_yes(&self) -> bool {
        self.options.assume_yes
    }

    /// Asks a yes-or-no question; only `y` or `yes` is a yes.
    ///
    /// # Errors
    /// Refuses where nobody can answer and `--yes` was not given; Ctrl-C interrupts.
    pub fn confirm(&self, question: &str) -> Result<bool> {
        if self.options.assume_yes {
            return Ok(true);
        }
        let answer = self.question(question, " [y/N]", true).map_err(|failure| {
            if self.can_ask() { failure } else { failure.hint("Give --yes to go on without a question.") }
        })?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a line of text, which is given without spaces around it.
    ///
    /// # Errors
    /// Refuses where nobody can answer; Ctrl-C interrupts.
    pub fn ask(&self, question: &str) -> Result<String> {
        Ok(self.question(question, "", true)?.trim().to_owned())
    }

    /// Asks for a line that nobody may look at: what is typed is not shown. The line's end is left out.
    ///
    /// # Errors
    /// Refuses where nobody can answer; Ctrl-C interrupts.
    pub fn ask_hidden(&self, question: &str) -> Result<String> {
        self.question(question, "", false)
    }

    fn question(&self, question: &str, after: &str, is_shown: bool) -> Result<String> {
        if !self.can_ask() {
            return Err(Failure::failed(format!("{question} Nobody can be asked here")));
        }
        // Before the question is seen: whoever answers it at once is not shown either.
        let bare = Bare::new().map_err(|error| cannot_ask(&error))?;
        let mut err = io::stderr().lock();
        write!(err, "{}{after} ", self.error_paint().strong(question))
            .and_then(|()| err.flush())
            .map_err(|error| cannot_ask(&error))?;
        let read = read_line(io::stdin().lock(), &mut err, is_shown);
        drop(bare);
        // The Enter was not shown.
        let _ = writeln!(err);
        read
    }
}

fn cannot_ask(error: &io::Error) -> Failure {
    Failure::failed("can't ask").because(error)
}

/// While it lives, the terminal does nothing with what is typed but hand it on. Ctrl-C arrives as a byte: as a signal it
/// would end the program and leave the terminal mute, or, where commands listen for it, be heard only after an Enter.
struct Bare(Termios);

impl Bare {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut bare = before.clone();
        bare.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &bare)?;
        Ok(Self(before))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // There is nothing left to do for a terminal that went away.
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}

/// Reads up to Enter, with the keys that a terminal would take care of itself.
fn read_line(input: impl BufRead, screen: &mut impl Write, is_shown: bool) -> Result<String> {
    const INTERRUPT: u8 = 3;
    const END: u8 = 4;
    const ERASE_LINE: u8 = 21;
    let mut typed = Vec::new();
    // A screen that went away does not make the answer another one.
    let mut show = |bytes: &[u8]| {
        if is_shown {
            let _ = screen.write_all(bytes).and_then(|()| screen.flush());
        }
    };
    for byte in input.bytes() {
        match byte.map_err(|error| cannot_ask(&error))? {
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Err(Failure::interrupted(2)),
            ERASE_LINE => while erase(&mut typed, &mut show) {},
            8 | 127 => {
                erase(&mut typed, &mut show);
            }
            other if other >= b' ' || !is_shown => {
                typed.push(other);
                show(&[other]);
            }
            // Keys without a letter, such as the arrows.
            _ => {}
        }
    }
    String::from_utf8(typed).map_err(|_| Failure::usage("what was typed is not text in UTF-8"))
}

/// Takes away the last character, however many bytes it has; says whether there was one.
fn erase(typed: &mut Vec<u8>, show: &mut impl FnMut(&[u8])) -> bool {
    if typed.is_empty() {
        return false;
    }
    while typed.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
    show(b"\x08 \x08");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<String> {
        read_line(input, &mut Vec::new(), false)
    }

    #[test]
    fn what_is_typed_can_be_mended_and_interrupted() {
        assert_eq!(read(b"abc\x7f\x7fd\nrest").unwrap(), "ad");
        assert_eq!(read("a\u{fc}\u{20ac}\x7f\r".as_bytes()).unwrap(), "a\u{fc}");
        assert_eq!(read(b"wrong\x15right").unwrap(), "right");
        assert_eq!(read(b"abc\x03").unwrap_err(), Failure::interrupted(2));
    }

    #[test]
    fn only_what_may_be_seen_is_shown() {
        let mut screen = Vec::new();
        assert_eq!(read_line(&b"yo\x7f\x1bes\n"[..], &mut screen, true).unwrap(), "yes");
        assert_eq!(screen, b"yo\x08 \x08es");
        let mut screen = Vec::new();
        read_line(&b"hidden\n"[..], &mut screen, false).unwrap();
        assert!(screen.is_empty());
    }
}

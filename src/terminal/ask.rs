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
    /// Refuses where nobody can answer and `--yes` was not given.
    pub fn confirm(&self, question: &str) -> Result<bool> {
        if self.options.assume_yes {
            return Ok(true);
        }
        if !self.can_ask() {
            return Err(Failure::failed(format!("{question} Nobody can be asked here"))
                .hint("Give --yes to go on without a question."));
        }
        let mut err = io::stderr().lock();
        let asked = write!(err, "{} [y/N] ", self.error_paint().strong(question)).and_then(|()| err.flush());
        let mut answer = String::new();
        asked
            .and_then(|()| io::stdin().lock().read_line(&mut answer))
            .map_err(|error| Failure::failed("can't ask").because(&error))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a line of text, which is given without spaces around it.
    ///
    /// # Errors
    /// Refuses where nobody can answer.
    pub fn ask(&self, question: &str) -> Result<String> {
        if !self.can_ask() {
            return Err(Failure::failed(format!("{question} Nobody can be asked here")));
        }
        let mut err = io::stderr().lock();
        let asked = write!(err, "{} ", self.error_paint().strong(question)).and_then(|()| err.flush());
        let mut answer = String::new();
        asked.and_then(|()| io::stdin().lock().read_line(&mut answer)).map_err(|error| cannot_ask(&error))?;
        Ok(answer.trim().to_owned())
    }

    /// Asks for a line that nobody may look at: what is typed is not shown. The line's end is left out.
    ///
    /// # Errors
    /// Refuses where nobody can answer; Ctrl-C interrupts.
    pub fn ask_hidden(&self, question: &str) -> Result<String> {
        if !self.can_ask() {
            return Err(Failure::failed(format!("{question} Nobody can be asked here")));
        }
        let mut err = io::stderr().lock();
        write!(err, "{} ", self.error_paint().strong(question))
            .and_then(|()| err.flush())
            .map_err(|error| cannot_ask(&error))?;
        let hidden = Hidden::new().map_err(|error| cannot_ask(&error))?;
        let read = read_hidden(io::stdin().lock());
        drop(hidden);
        // The Enter was hidden as well.
        let _ = writeln!(err);
        read
    }
}

fn cannot_ask(error: &io::Error) -> Failure {
    Failure::failed("can't ask").because(error)
}

/// While it lives, the terminal shows nothing of what is typed, and Ctrl-C arrives as a byte: a signal would end the
/// program and leave the terminal mute.
struct Hidden(Termios);

impl Hidden {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nothing left to do for a terminal that went away.
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}

/// Reads up to Enter, with the keys that a terminal would take care of itself.
fn read_hidden(input: impl BufRead) -> Result<String> {
    const INTERRUPT: u8 = 3;
    const END: u8 = 4;
    const ERASE_LINE: u8 = 21;
    let mut typed = Vec::new();
    for byte in input.bytes() {
        match byte.map_err(|error| cannot_ask(&error))? {
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Err(Failure::interrupted(2)),
            ERASE_LINE => typed.clear(),
            // Backspace takes a whole character, however many bytes it has.
            8 | 127 => while typed.pop().is_some_and(|byte: u8| byte & 0b1100_0000 == 0b1000_0000) {},
            other => typed.push(other),
        }
    }
    String::from_utf8(typed).map_err(|_| Failure::usage("what was typed is not text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_hidden_can_be_mended_and_interrupted() {
        assert_eq!(read_hidden(&b"abc\x7f\x7fd\nrest"[..]).unwrap(), "ad");
        assert_eq!(read_hidden("a\u{fc}\u{20ac}\x7f\r".as_bytes()).unwrap(), "a\u{fc}");
        assert_eq!(read_hidden(&b"wrong\x15right"[..]).unwrap(), "right");
        assert_eq!(read_hidden(&b"abc\x03"[..]).unwrap_err(), Failure::interrupted(2));
    }
}

//! The terminal as a device, for a command at the other end that talks to it directly: raw mode and the window's size.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use nix::sys::termios::{self, SetArg, Termios};

use crate::failure::{OrFail, Result};

/// Whether this program's standard input and output are a terminal.
pub fn is_present() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The terminal in raw mode, where keys are passed on as they are pressed; dropped, it is as it was.
pub struct Raw(Termios);

impl Raw {
    /// # Errors
    /// Standard input is no terminal.
    pub fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(stdin.as_fd()).or_fail(|| "can't read the terminal's mode".into())?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).or_fail(|| "can't set the terminal's mode".into())?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

/// Columns and rows of the window; none without a terminal.
pub fn window() -> Option<(u16, u16)> {
    let (rows, columns) = console::Term::stdout().size_checked()?;
    Some((columns, rows))
}

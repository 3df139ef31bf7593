use std::fmt::Display;

use anstyle::{AnsiColor, Color, Style};

/// Colours by meaning; text never depends on them, so that a log without colour says the same.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    enabled: bool,
}

/// Colours that tell services apart in mixed logs; none of them means good or bad.
const SOURCES: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

impl Paint {
    /// With colour or without.
    pub fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    /// Whether colour is used at all.
    pub fn enabled(self) -> bool {
        self.enabled
    }

    fn with(self, style: Style, text: impl Display) -> String {
        if self.enabled { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    fn colour(colour: AnsiColor) -> Style {
        Style::new().fg_color(Some(Color::Ansi(colour)))
    }

    /// Something that went well.
    pub fn good(self, text: impl Display) -> String {
        self.with(Self::colour(AnsiColor::Green), text)
    }

    /// Something that went wrong.
    pub fn bad(self, text: impl Display) -> String {
        self.with(Self::colour(AnsiColor::Red).bold(), text)
    }

    /// Something to look at.
    pub fn warning(self, text: impl Display) -> String {
        self.with(Self::colour(AnsiColor::Yellow), text)
    }

    /// Something worth knowing.
    pub fn note(self, text: impl Display) -> String {
        self.with(Self::colour(AnsiColor::Cyan), text)
    }

    /// Less important than what stands beside it.
    pub fn dim(self, text: impl Display) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// More important than what stands beside it.
    pub fn strong(self, text: impl Display) -> String {
        self.with(Style::new().bold(), text)
    }

    /// The n-th of several sources (services, topics), each in a colour of its own.
    pub fn source(self, index: usize, text: impl Display) -> String {
        self.with(Self::colour(SOURCES[index % SOURCES.len()]), text)
    }
}

//! The services' logs: a file each, every line with its time, capped by one rotation; read back merged by time.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncRead};

use crate::failure::{Failure, OrFail, Result};

/// A file is rotated when it is larger, in bytes; the one before it is kept.
const CAP: u64 = 16 << 20;
/// How many last lines are kept at hand for a failure.
const TAIL: usize = 12;

/// Writes one service's log.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Writer>>);

struct Writer {
    path: PathBuf,
    file: File,
    size: u64,
    tail: VecDeque<String>,
}

impl Log {
    pub fn open(path: &Path) -> Result<Self> {
        let file = append(path).or_fail(|| format!("can't open {}", path.display()))?;
        let size = file.metadata().map_or(0, |found| found.len());
        Ok(Self(Arc::new(Mutex::new(Writer { path: path.into(), file, size, tail: VecDeque::new() }))))
    }

    /// Adds a line. A full disk must not stop the service, so a failed write is dropped.
    pub fn line(&self, text: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{:.6} {text}\n", Timestamp::now());
        if writer.size > CAP
            && fs::rename(&writer.path, rotated(&writer.path)).is_ok()
            && let Ok(file) = append(&writer.path)
        {
            writer.file = file;
            writer.size = 0;
        }
        if writer.file.write_all(line.as_bytes()).is_ok() {
            writer.size += line.len() as u64;
        }
        if writer.tail.len() == TAIL {
            writer.tail.pop_front();
        }
        writer.tail.push_back(text.to_owned());
    }

    /// The last lines of this run.
    pub fn tail(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tail.iter().cloned().collect()
    }

    /// Takes every line of a stream until its end.
    pub async fn pump(self, stream: impl AsyncRead + Unpin) {
        let mut reader = tokio::io::BufReader::new(stream);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
            self.line(String::from_utf8_lossy(&bytes).trim_end());
            bytes.clear();
        }
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn rotated(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    pub time: Timestamp,
    pub service: String,
    pub text: String,
}

fn parse(line: &str, service: &str) -> Option<Line> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    Some(Line { time: time.parse().ok()?, service: service.into(), text: text.into() })
}

/// Which lines are wanted.
#[derive(Debug, Default)]
pub struct Filter {
    pub since: Option<Timestamp>,
    /// The last lines of each service only.
    pub tail: Option<usize>,
    pub pattern: Option<regex::Regex>,
}

impl Filter {
    pub fn wants(&self, line: &Line) -> bool {
        self.since.is_none_or(|since| line.time >= since)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&line.text))
    }
}

/// `10m`, `2h`, `1d` ago, or a moment in RFC 3339.
pub fn moment(text: &str) -> std::result::Result<Timestamp, String> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let wrong = || format!("`{text}` is no time: give 30s, 10m, 2h, 1d or 2026-01-31T12:00:00Z");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let length = jiff::SignedDuration::from_secs(count.checked_mul(seconds).ok_or_else(wrong)?);
    Timestamp::now().checked_sub(length).map_err(|_| wrong())
}

/// Reads one log as it grows, through rotations.
pub struct Follower {
    service: String,
    path: PathBuf,
    reader: Option<BufReader<File>>,
    partial: String,
}

impl Follower {
    pub fn new(service: &str, path: PathBuf) -> Self {
        Self { service: service.into(), path, reader: None, partial: String::new() }
    }

    /// What is there already, the rotated file first; later calls of `more` go on behind it.
    pub fn existing(&mut self, filter: &Filter) -> Result<Vec<Line>> {
        let mut lines = VecDeque::new();
        let mut take = |line: Line| {
            if filter.wants(&line) {
                lines.push_back(line);
                if filter.tail.is_some_and(|tail| lines.len() > tail) {
                    lines.pop_front();
                }
            }
        };
        if let Ok(file) = File::open(rotated(&self.path)) {
            let old = BufReader::new(file).lines().map_while(std::io::Result::ok);
            old.filter_map(|line| parse(&line, &self.service)).for_each(&mut take);
        }
        self.more()?.into_iter().for_each(take);
        Ok(lines.into())
    }

    /// What was added since the last call.
    pub fn more(&mut self) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        self.drain(&mut lines)?;
        if self.was_replaced() {
            self.reader = None;
            self.drain(&mut lines)?;
        }
        Ok(lines)
    }

    fn drain(&mut self, lines: &mut Vec<Line>) -> Result<()> {
        if self.reader.is_none() {
            self.reader = match File::open(&self.path) {
                Ok(file) => Some(BufReader::new(file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => {
                    return Err(Failure::failed(format!("can't read {}", self.path.display())).because(&error));
                }
            };
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        while reader.read_line(&mut self.partial).or_fail(|| format!("can't read {}", self.path.display()))? > 0 {
            if !self.partial.ends_with('\n') {
                break;
            }
            lines.extend(parse(self.partial.trim_end(), &self.service));
            self.partial.clear();
        }
        Ok(())
    }

    fn was_replaced(&mut self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Some(reader) = &mut self.reader else { return false };
        let open = reader.get_ref().metadata().map(|found| (found.ino(), found.len()));
        let there = fs::metadata(&self.path).map(|found| found.ino());
        let position = reader.stream_position().unwrap_or(0);
        matches!((open, there), (Ok((open, length)), Ok(there)) if open != there || length < position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_sees_lines_once_and_goes_through_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kafka.log");
        let log = Log::open(&path).unwrap();
        let mut follower = Follower::new("kafka", path.clone());
        log.line("one");
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(follower.existing(&Filter::default()).unwrap()), ["one"]);
        fs::rename(&path, rotated(&path)).unwrap();
        Log::open(&path).unwrap().line("two");
        assert_eq!(texts(follower.more().unwrap()), ["two"]);
        assert!(follower.more().unwrap().is_empty());
    }

    #[test]
    fn moments_are_lengths_or_times() {
        assert!(moment("10m").unwrap() < Timestamp::now());
        assert!(moment("2026-01-31T12:00:00Z").is_ok());
        assert!(moment("soon").is_err() && moment("").is_err() && moment("9999999999999d").is_err());
    }
}

//! The small values: durations, sizes, modes, switches, and texts that may be secret.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Names with texts: labels, options of drivers.
pub type Pairs = BTreeMap<String, String>;

/// Whether a value says nothing, so that it need not be written.
pub(super) trait Blank {
    fn is_blank(&self) -> bool;
}

impl Blank for String {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Blank for bool {
    fn is_blank(&self) -> bool {
        !*self
    }
}

impl<T> Blank for Option<T> {
    fn is_blank(&self) -> bool {
        self.is_none()
    }
}

impl<T> Blank for Vec<T> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Blank for BTreeMap<K, V> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

macro_rules! blank_at_zero {
    ($($type:ty),*) => { $(
        impl Blank for $type {
            fn is_blank(&self) -> bool {
                *self == <$type>::default()
            }
        }
    )* };
}
blank_at_zero!(u16, u32, u64, i64, Bytes, OptOut, Duration);

impl Blank for f64 {
    fn is_blank(&self) -> bool {
        self.abs() < f64::EPSILON
    }
}

/// Defines structs whose fields are all optional in the file and are left out of the output where they say nothing.
macro_rules! record {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* #[serde(skip_serializing_if = "crate::stack::compose::model::values::Blank::is_blank")] pub $field: $type,)*
        }
    )* };
}

/// A length of time with the accuracy of a nanosecond; written as `1m30s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    /// Nanoseconds; never negative after a successful load.
    pub nanoseconds: i64,
}

impl Duration {
    /// As the standard library's type.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.nanoseconds).unwrap_or(0))
    }

    /// Reads `1h30m`, `1.5s`, `250ms`, `1w2d`, or a bare `0`: numbers, each with a unit out of ns, us, ms, s, m, h,
    /// d, w, the units in falling order or not.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "0" {
            return Some(Self::default());
        }
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest.is_empty() {
            return None;
        }
        let mut nanoseconds = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let number: f64 = number.parse().ok()?;
            let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            nanoseconds += number
                * match unit {
                    "ns" => 1.0,
                    "us" | "µs" | "μs" => 1e3,
                    "ms" => 1e6,
                    "s" => 1e9,
                    "m" => 60e9,
                    "h" => 3600e9,
                    "d" => 24.0 * 3600e9,
                    "w" => 7.0 * 24.0 * 3600e9,
                    _ => return None,
                };
            rest = after;
        }
        let nanoseconds = (sign * nanoseconds).round();
        // Beyond 292 years a count of nanoseconds does not fit.
        #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
        (nanoseconds.abs() < 9.2e18).then_some(Self { nanoseconds: nanoseconds as i64 })
    }
}

/// As Go writes it: `1h0m0s`, `1.5s`, `250ms`.
impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.nanoseconds.unsigned_abs();
        if self.nanoseconds < 0 {
            formatter.write_str("-")?;
        }
        let fraction = |value: u64, unit: u64, name: &str| {
            let digits = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
            let digits = digits.trim_end_matches('0');
            if unit == 1 || digits.is_empty() {
                format!("{}{name}", value / unit)
            } else {
                format!("{}.{digits}{name}", value / unit)
            }
        };
        match nanoseconds {
            0 => formatter.write_str("0s"),
            1..1_000 => formatter.write_str(&fraction(nanoseconds, 1, "ns")),
            1_000..1_000_000 => formatter.write_str(&fraction(nanoseconds, 1_000, "µs")),
            1_000_000..1_000_000_000 => formatter.write_str(&fraction(nanoseconds, 1_000_000, "ms")),
            _ => {
                let minutes = nanoseconds / 60_000_000_000;
                if minutes >= 60 {
                    write!(formatter, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(formatter, "{}m", minutes % 60)?;
                }
                formatter.write_str(&fraction(nanoseconds % 60_000_000_000, 1_000_000_000, "s"))
            }
        }
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Scalar::deserialize(deserializer)?.0;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no duration such as 1m30s")))
    }
}

/// A number of bytes; `-1` where the format allows "no limit". Written as a text of digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub i64);

impl Bytes {
    /// Reads `512`, `64k`, `1.5gb`, `2 GiB`: every unit is a power of 1024.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self(number));
        }
        let split = text.rfind(|c: char| c.is_ascii_digit() || c == '.')? + 1;
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().ok().filter(|number| *number >= 0.0)?;
        let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
        let power = match unit.as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 1,
            "m" | "mb" | "mib" => 2,
            "g" | "gb" | "gib" => 3,
            "t" | "tb" | "tib" => 4,
            "p" | "pb" | "pib" => 5,
            _ => return None,
        };
        let bytes = number * 1024f64.powi(power);
        #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
        (bytes < 9.2e18).then_some(Self(bytes as i64))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Scalar::deserialize(deserializer)?.0;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no size such as 512m")))
    }
}

/// The permissions of a file; in the file a number (`0440` is octal there too) or a text of octal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0{:o}", self.0))
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            serde_json::Value::String(text) => {
                u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|_| !text.is_empty())
            }
            _ => None,
        }
        .map(Self)
        .ok_or_else(|| de::Error::custom("permissions are octal digits such as \"0440\""))
    }
}

/// A switch that is on unless it is turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OptOut(pub bool);

impl Default for OptOut {
    fn default() -> Self {
        Self(true)
    }
}

/// A text that may be secret: it does not show in debug output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden")
    }
}

/// Environment variables and build arguments; `None` is a variable that is named without a value and that nothing
/// sets. Debug output shows names only: values may be secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(pub BTreeMap<String, Option<String>>);

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Deref for Variables {
    type Target = BTreeMap<String, Option<String>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Variables {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Blank for Variables {
    fn is_blank(&self) -> bool {
        self.0.is_empty()
    }
}

/// What `restart` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never restart: also what an absent key means.
    No,
    /// Whenever it ends.
    Always,
    /// Whenever it ends, unless it was stopped.
    UnlessStopped,
    /// When it fails; at most so many times, 0 being without end.
    OnFailure(u64),
}

impl Restart {
    /// Reads the text of `restart`; `None` for a text that means nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, tries) = text.split_once(':').map_or((text, None), |(name, tries)| (name, Some(tries)));
        match (name, tries) {
            ("" | "no" | "none", None) => Some(Self::No),
            ("always", None) => Some(Self::Always),
            ("unless-stopped", None) => Some(Self::UnlessStopped),
            ("on-failure", None) => Some(Self::OnFailure(0)),
            ("on-failure", Some(tries)) => tries.parse().ok().map(Self::OnFailure),
            _ => None,
        }
    }
}

/// What `pull_policy` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Pull what is not there: also what an absent key means.
    Missing,
    /// Pull every time.
    Always,
    /// Never pull; a missing image is a failure.
    Never,
    /// Build, even where an image is there.
    Build,
    /// Pull when the last pull is so long ago.
    Refresh(Duration),
}

impl PullPolicy {
    /// Reads the text of `pull_policy`; `None` for a text that means nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let days = |days: i64| Self::Refresh(Duration { nanoseconds: days * 24 * 3_600_000_000_000 });
        Some(match text {
            "" | "missing" | "if_not_present" => Self::Missing,
            "always" => Self::Always,
            "never" => Self::Never,
            "build" => Self::Build,
            "refresh" => Self::Refresh(Duration::default()),
            "daily" => days(1),
            "weekly" => days(7),
            _ => Self::Refresh(Duration::parse(text.strip_prefix("every_")?)?),
        })
    }
}

/// Any scalar as its text, for values that may be written as a number or as a text.
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            serde_json::Value::Number(number) => Ok(Self(number.to_string())),
            serde_json::Value::Bool(switch) => Ok(Self(switch.to_string())),
            _ => Err(de::Error::custom("a text or a number is wanted")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        for (text, written) in [
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("1.5s", "1.5s"),
            ("250ms", "250ms"),
            ("0", "0s"),
            ("1w2d", "216h0m0s"),
            ("1m30s500ms", "1m30.5s"),
            ("10us", "10µs"),
        ] {
            assert_eq!(Duration::parse(text).unwrap().to_string(), written, "{text}");
        }
        for text in ["", "s", "5", "1x", "1.2.3s", "-"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [("512", 512), ("64k", 65536), ("1.5gb", 1_610_612_736), ("2 GiB", 1 << 31), ("-1", -1)] {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
        }
        for text in ["", "many", "5x", "-1k"] {
            assert_eq!(Bytes::parse(text), None, "{text}");
        }
    }

    #[test]
    fn restart_policies() {
        assert_eq!(Restart::parse("on-failure:3"), Some(Restart::OnFailure(3)));
        assert_eq!(Restart::parse("sometimes"), None);
    }

    #[test]
    fn values_that_may_be_secret_do_not_show() {
        let variables = Variables([("PASSWORD".to_owned(), Some("hunter2".to_owned()))].into());
        assert_eq!(format!("{variables:?} {:?}", Hidden("hunter2".into())), "{\"PASSWORD\"} Hidden");
    }
}

//! Where reading begins and ends.

use std::str::FromStr;

use jiff::{Span, SpanRelativeTo, Timestamp};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Beginning,
    End,
    /// The newest so many across all partitions, in the order of their times.
    Last(usize),
    At(Moment),
}

/// A point in time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "beginning" => return Ok(Self::Beginning),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(Ok(count)) = text.strip_prefix('-').map(str::parse) {
            return if count == 0 { Ok(Self::End) } else { Ok(Self::Last(count)) };
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`-{text}` means the last {text} messages, `{text}m` the last {text} minutes"));
        }
        text.parse().map(Self::At).map_err(|_| {
            "it is `beginning`, `end`, `-N` (the last N messages), a time ago such as `10m`, `2h30m` or `3d`, \
             or a time such as 2026-08-01T12:00:00Z"
                .to_owned()
        })
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        moment(text, Timestamp::now())
    }
}

/// A time ago (`10m`, `-10m`), `now`, or RFC 3339.
fn moment(text: &str, now: Timestamp) -> Result<Moment, String> {
    if text == "now" {
        return Ok(Moment(now.as_millisecond()));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(Moment(timestamp.as_millisecond()));
    }
    let wrong = || "it is a time ago such as `10m`, or a time such as 2026-08-01T12:00:00Z".to_owned();
    let ago = text.strip_prefix('-').unwrap_or(text);
    let span: Span = ago.parse().map_err(|_| wrong())?;
    let ago = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if ago.is_negative() {
        return Err(wrong());
    }
    now.checked_sub(ago).map(|then| Moment(then.as_millisecond())).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_counts() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        assert_eq!("end".parse(), Ok(From::End));
        assert_eq!("-25".parse(), Ok(From::Last(25)));
        assert_eq!("-0".parse(), Ok(From::End));
        assert!("25".parse::<From>().unwrap_err().contains("-25"));
    }

    #[test]
    fn times_ago_and_times() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |text| moment(text, now);
        assert_eq!(at("10m"), Ok(Moment(999_400_000)));
        assert_eq!(at("-1h30m"), Ok(Moment(994_600_000)));
        assert_eq!(at("2d"), Ok(Moment(827_200_000)));
        assert_eq!(at("now"), Ok(Moment(1_000_000_000)));
        assert_eq!(at("1970-01-01T00:00:01.5Z"), Ok(Moment(1_500)));
        assert_eq!(at("1970-01-01T01:00:00+01:00"), Ok(Moment(0)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "-", "yesterday", "10", "10x", "--5m", "2026-13-01T00:00:00Z", "99999999999999999999d"] {
            assert!(text.parse::<From>().is_err(), "{text}");
        }
    }
}

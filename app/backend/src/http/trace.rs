//! W3C trace context (<https://www.w3.org/TR/trace-context/>): who asked for what, across HTTP and Kafka.

use std::fmt;

use rand::RngExt;

/// A place in a trace: version 00 of `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceParent {
    /// The start of a trace of its own.
    pub(crate) fn new() -> Self {
        let mut random = rand::rng();
        // All zeros mean "none" in both ids.
        Self { trace: random.random::<u128>().max(1), span: random.random::<u64>().max(1), flags: 0 }
    }

    /// The next span of the same trace.
    pub(crate) fn child(self) -> Self {
        Self { span: rand::rng().random::<u64>().max(1), ..self }
    }

    /// Reads a header; None if it is not one, which the standard tells to take as absent.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let is_valid = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        if !is_valid || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        Some(Self { trace, span, flags: u8::from_str_radix(flags, 16).ok()? })
    }

    /// The trace's id, as logs name it.
    pub(crate) fn trace_id(self) -> impl fmt::Display {
        fmt::from_fn(move |formatter| write!(formatter, "{:032x}", self.trace))
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_and_written_alike() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = TraceParent::parse(text).unwrap();
        assert_eq!(parent.to_string(), text);
        let child = parent.child();
        assert_eq!(child.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(child.span, parent.span);
    }

    #[test]
    fn what_is_not_a_header_is_absent() {
        let wrong = [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ];
        assert!(wrong.iter().all(|text| TraceParent::parse(text).is_none()));
    }
}

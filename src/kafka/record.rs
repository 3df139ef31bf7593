//! One message, as it lies in the fetch buffer.

/// Who gave a message its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeKind {
    Create,
    LogAppend,
}

/// Borrowed from the batch that it came in: nothing is copied on the way to the output.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970; old producers send none.
    pub timestamp: Option<(i64, TimeKind)>,
    pub key: Option<&'a [u8]>,
    /// None is a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// A header: a name, and a value that may be null.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// Headers are read only when they are looked at: most messages are printed without.
#[derive(Clone, Copy, Debug)]
pub enum Headers<'a> {
    Of(&'a super::reader::Message),
    Given(&'a [Header<'a>]),
}

impl<'a> Headers<'a> {
    /// Calls for each header in order.
    pub fn each(&self, mut call: impl FnMut(Header<'a>)) {
        match self {
            Self::Of(message) => message.each_header(call),
            Self::Given(headers) => headers.iter().for_each(|header| call(*header)),
        }
    }
}

//! The local stack: `streamify dev`.

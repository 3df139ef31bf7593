//! The database's schema: `streamify migrate`.

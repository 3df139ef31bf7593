//! How the Docker runtime's results look.

pub(super) mod logs;
pub(super) mod ps;
pub(super) mod up;

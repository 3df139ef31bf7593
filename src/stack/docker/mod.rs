//! The stack on Docker: observe, plan, apply.
//!
//! [`Engine`] finds and talks to a daemon; [`Stack`] is one Compose project on it. A look at the engine (`observe`) and
//! the project make a plan (`plan`) that is pure data; `apply` carries it out, as much at once as the dependencies
//! allow, and waits by the engine's events (`tracker`).

mod apply;
mod attach;
mod blueprint;
mod build;
mod buildkit;
mod credentials;
mod discovery;
mod doctor;
mod down;
mod engine;
mod entries;
mod fields;
mod files;
mod foreign;
mod hooks;
mod host;
mod ignore;
mod images;
mod labels;
mod logs;
mod make;
mod mounts;
mod observe;
mod oneoff;
mod peer;
mod plan;
mod plan_images;
mod plan_shared;
#[cfg(test)]
mod plan_tests;
mod ports;
mod probe;
mod releases;
mod rollout;
mod settle;
mod stack;
mod start;
mod tracker;
mod watch;

pub use attach::{Command, exec};
pub use doctor::diagnose;
pub use down::{Remains, down, remains, stop_all};
pub use engine::{ApiVersion, Engine};
pub use entries::{Entry, Happening, Processes, Usage, entries, happenings, nth, restart, running, top, usage};
pub use logs::{Line, Wanted, existing, follow};
pub use observe::{Health, Phase, PublishedPort, State};
pub use oneoff::{OneOff, Ran};
pub use plan::{Action, Pull, Step, Wishes};
pub use releases::{Deployed, Release, Releases, Verdict, before, bring_back, keep};
pub use rollout::{Order, Replaced, Replacement};
pub use stack::{Prospect, Stack};

use super::super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::settings::EnvironmentSettings;

/// Deploys to a Docker host.
#[allow(clippy::unused_async, reason = "what runs on a Docker host is reached over the network")]
pub(super) async fn deploy(environment: &EnvironmentSettings, _context: &Context) -> Result<Outcome> {
    Err(Failure::usage(format!("`{}` runs on a Docker host, and deploys go to ECS only", environment.name))
        .hint("`streamify dev up` brings the app up on a Docker host."))
}

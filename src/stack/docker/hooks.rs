//! Commands of the file that run inside a container after its start and before its stop.

use tokio_util::sync::CancellationToken;

use super::attach::{self, Command};
use super::engine::Engine;
use crate::failure::{Failure, Result};
use crate::stack::compose::model::Hook;

/// Runs the hooks one after another.
///
/// # Errors
/// The first one that does not end with exit code 0.
pub(super) async fn run(engine: &Engine, id: &str, name: &str, hooks: &[Hook]) -> Result<()> {
    for hook in hooks {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let command = Command {
            words: hook.command.clone().unwrap_or_default(),
            environment: hook
                .environment
                .iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
                .collect(),
            user: text(&hook.user),
            directory: text(&hook.working_dir),
            privileged: hook.privileged,
            terminal: Some(false),
            input: false,
        };
        let code = attach::exec(engine, id, &command, &CancellationToken::new()).await?;
        if code != 0 {
            return Err(
                Failure::failed(format!("a hook of {name} ended with exit code {code}")).cause(command.words.join(" "))
            );
        }
    }
    Ok(())
}

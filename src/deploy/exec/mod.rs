//! A command in a container that runs, with this terminal: ECS Exec, without a plugin.
//!
//! ECS opens a session and gives an address and a token; from there on it is the Session Manager's protocol over a
//! WebSocket, spoken by [`channel`].

mod channel;
mod message;

use std::io::Write;
use std::time::Duration;

use aws_sdk_ecs::operation::execute_command::ExecuteCommandError;
use aws_sdk_ecs::types::{DesiredStatus, Task};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio_tungstenite::tungstenite;

use super::run::Ground;
use super::{observe, restart, tasks};
use crate::failure::{Failure, OrFail, Result};
use crate::tty;
use channel::{Channel, Said};

/// Where a command runs, and which.
#[derive(Clone, Debug, Default)]
pub struct ExecWish {
    pub service: String,
    /// The beginning of a task's id; none: the newest.
    pub task: Option<String>,
    pub command: Vec<String>,
}

/// Runs the command with this terminal. Gives its exit code, where the agent tells it; else 0.
pub async fn exec(ground: &Ground<'_>, wish: &ExecWish) -> Result<i32> {
    restart::check_names(ground, std::slice::from_ref(&wish.service))?;
    ground.cloud.aws.identity().await?;
    let services = observe::services(&ground.cloud, ground.outputs, std::iter::once(wish.service.as_str())).await?;
    let service = &services[&wish.service];
    if !service.enable_execute_command {
        return Err(Failure::failed(format!("exec is off for the service `{}`", wish.service))
            .hint("Set enable_execute_command in Terraform, then `streamify restart` it: only new tasks have it."));
    }
    let task = choose(ground, service.service_name.as_deref().unwrap_or_default(), wish).await?;
    let arn = task.task_arn.clone().unwrap_or_default();
    let container = ground.outputs.services.get(&wish.service).map(|outputs| outputs.container.clone());
    let answer = ground
        .cloud
        .ecs
        .execute_command()
        .cluster(&ground.outputs.cluster)
        .task(&arn)
        .set_container(container)
        .command(quoted(&wish.command))
        .interactive(true)
        .send()
        .await
        .map_err(|error| {
            let failure =
                ground.cloud.failure(&format!("can't open a session with task {}", tasks::task_id(&arn)), &error);
            if error.as_service_error().is_some_and(ExecuteCommandError::is_target_not_connected_exception) {
                return failure
                    .hint("The agent in the task needs ssmmessages permissions of the task role, and a way out.");
            }
            failure
        })?;
    let session = answer.session.unwrap_or_else(|| aws_sdk_ecs::types::Session::builder().build());
    let (Some(url), Some(token)) = (session.stream_url, session.token_value) else {
        return Err(Failure::failed("can't open a session").cause("ECS answered without an address"));
    };
    ground.report.note(&format!("task {}", tasks::task_id(&arn)));
    talk(ground, &url, &token).await
}

/// The task that is meant: by the beginning of its id, or the newest that runs.
async fn choose(ground: &Ground<'_>, service: &str, wish: &ExecWish) -> Result<Task> {
    let cloud = &ground.cloud;
    let list = cloud.ecs.list_tasks().cluster(&ground.outputs.cluster).service_name(service);
    let list = list.desired_status(DesiredStatus::Running).send().await;
    let arns = list.map_err(|error| cloud.failure("can't list the tasks", &error))?.task_arns.unwrap_or_default();
    let mut all = tasks::describe(cloud, &ground.outputs.cluster, &arns).await?;
    all.retain(|task| task.last_status.as_deref() == Some("RUNNING"));
    all.sort_by_key(|task| std::cmp::Reverse(task.created_at));
    let ids: Vec<String> =
        all.iter().filter_map(|task| task.task_arn.as_deref()).map(|arn| tasks::task_id(arn).to_owned()).collect();
    let index = match &wish.task {
        None => (!all.is_empty()).then_some(0),
        Some(begin) => ids.iter().position(|id| id.starts_with(begin.as_str())),
    };
    match index {
        Some(index) => Ok(all.swap_remove(index)),
        None if ids.is_empty() => Err(Failure::failed(format!("no task of {} runs", wish.service))
            .hint(format!("streamify status {}", ground.environment.name))),
        None => Err(Failure::usage(format!("no task of {} begins with that id", wish.service))
            .hint(format!("There is {}.", ids.join(", ")))),
    }
}

/// The agent splits the line as a shell does.
fn quoted(words: &[String]) -> String {
    let plain =
        |word: &String| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
    let quote = |word: &String| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Carries keys and output until the session ends.
async fn talk(ground: &Ground<'_>, url: &str, token: &str) -> Result<i32> {
    let broken = |error: tungstenite::Error| {
        Failure::unreachable("the session's connection broke")
            .because(&error)
            .hint("The command may still run in the task.")
    };
    let connected = tokio::time::timeout(Duration::from_secs(20), tokio_tungstenite::connect_async(url)).await;
    let (mut socket, _) =
        connected.map_err(|_| Failure::unreachable("the session's address does not answer"))?.map_err(broken)?;
    socket.send(tungstenite::Message::text(channel::open(token))).await.map_err(broken)?;
    let has_terminal = tty::is_present();
    let raw = if has_terminal { Some(tty::Raw::enter()?) } else { None };
    let mut resized = signal(SignalKind::window_change()).or_fail(|| "can't listen for the window's size".into())?;
    let (mut channel, mut stdin) = (Channel::new(), tokio::io::stdin());
    let mut keys = [0_u8; 1024];
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let (mut is_open, mut code) = (true, 0);
    loop {
        for bytes in channel.outgoing() {
            socket.send(tungstenite::Message::binary(bytes)).await.map_err(broken)?;
        }
        tokio::select! {
            read = stdin.read(&mut keys), if is_open && channel.is_ready() => match read {
                Ok(0) | Err(_) => {
                    is_open = false;
                    // The end of the input, as a terminal says it.
                    channel.input(&[4]);
                }
                Ok(count) => channel.input(&keys[..count]),
            },
            _ = resized.recv() => size(&mut channel),
            _ = tick.tick() => {}
            () = ground.interrupt.cancelled(), if !has_terminal && is_open => {
                is_open = false;
                channel.terminate();
            }
            message = socket.next() => {
                let said = match message {
                    None | Some(Ok(tungstenite::Message::Close(_))) => break,
                    Some(Err(error)) => return Err(broken(error)),
                    Some(Ok(tungstenite::Message::Binary(bytes))) => channel.take(&bytes).map_err(|wrong| {
                        Failure::failed("the session said what is no message").cause(format!("{wrong:?}"))
                    })?,
                    Some(Ok(_)) => continue,
                };
                let mut is_over = false;
                for one in said {
                    match one {
                        Said::Output(bytes) => write(std::io::stdout().lock(), &bytes),
                        Said::StandardError(bytes) => write(std::io::stderr().lock(), &bytes),
                        Said::ExitCode(given) => code = given,
                        Said::Ready => size(&mut channel),
                        Said::Closed(_) => is_over = true,
                        Said::Refused(what) => {
                            return Err(Failure::failed("the session wants what this program does not speak")
                                .cause(what)
                                .hint("A KMS key in the cluster's execute command configuration is what asks for it."));
                        }
                    }
                }
                if is_over {
                    break;
                }
            }
        }
    }
    // The last words were acknowledged; whether they arrive is not waited for.
    for bytes in channel.outgoing() {
        let _ = socket.send(tungstenite::Message::binary(bytes)).await;
    }
    let _ = socket.close(None).await;
    drop(raw);
    Ok(code)
}

fn write(mut out: impl Write, bytes: &[u8]) {
    // A reader that went away does not end the session.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

fn size(channel: &mut Channel) {
    let (columns, rows) = tty::window().unwrap_or((80, 24));
    channel.size(columns, rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        let words = ["sh", "-c", "echo it's $HOME"].map(str::to_owned);
        assert_eq!(quoted(&words), r"sh -c 'echo it'\''s $HOME'");
        assert_eq!(quoted(&[String::new()]), "''");
    }
}

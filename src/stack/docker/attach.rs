//! A command in a container with this terminal: keys go in as they are pressed, and the window's size follows.

use std::io::{IsTerminal, Write};
use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder, StartContainerOptions, WaitContainerOptions,
};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::engine::{Engine, OrSay, failure, status};
use crate::failure::{Failure, OrFail, Result};
use crate::tty;

/// What is run.
#[derive(Clone, Debug, Default)]
pub struct Command {
    pub words: Vec<String>,
    /// `NAME=VALUE`
    pub environment: Vec<String>,
    pub user: Option<String>,
    pub directory: Option<String>,
    pub privileged: bool,
    /// A terminal in the container; None: where this program has one.
    pub terminal: Option<bool>,
    /// Standard input goes along.
    pub input: bool,
}

/// Runs a command in a running container; gives its exit code.
pub async fn exec(engine: &Engine, container: &str, command: &Command, interrupt: &CancellationToken) -> Result<i64> {
    let terminal = command.terminal.unwrap_or_else(tty::is_present);
    let options = CreateExecOptions {
        attach_stdin: Some(command.input),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(terminal),
        env: Some(command.environment.clone()),
        cmd: Some(command.words.clone()),
        privileged: Some(command.privileged),
        user: command.user.clone(),
        working_dir: command.directory.clone(),
        detach_keys: None,
    };
    let created = engine.docker.create_exec(container, options).await;
    let id = created.or_say(|| format!("can't run a command in {container}"))?.id;
    let options = StartExecOptions { detach: false, tty: terminal, output_capacity: None };
    let started = engine.docker.start_exec(&id, Some(options)).await;
    let StartExecResults::Attached { output, input } =
        started.or_say(|| format!("can't run a command in {container}"))?
    else {
        return Ok(0);
    };
    let resize = |(width, height)| {
        let (docker, id) = (engine.docker.clone(), id.clone());
        // A command that has ended already has no window.
        async move { docker.resize_exec(&id, ResizeExecOptions { height, width }).await.unwrap_or(()) }
    };
    let last_words = converse(output, input, terminal, command.input, resize, interrupt).await?;
    let ended = engine.docker.inspect_exec(&id).await.or_say(|| "can't read the command's exit code".into())?;
    match ended.exit_code {
        Some(code) => Ok(code),
        None => Err(Failure::failed(format!("the command in {container} did not start")).cause(last_words)),
    }
}

/// Starts a container that was made, with this terminal; gives its exit code.
pub async fn run(engine: &Engine, id: &str, terminal: bool, input: bool, interrupt: &CancellationToken) -> Result<i64> {
    let options = AttachContainerOptionsBuilder::new().stream(true).stdin(input).stdout(true).stderr(true).build();
    let attached =
        engine.docker.attach_container(id, Some(options)).await.or_say(|| "can't attach to the container".into())?;
    let mut wait =
        Box::pin(engine.docker.wait_container(id, Some(WaitContainerOptions { condition: "next-exit".into() })));
    // The wait must be known to the engine before the container ends.
    let waited = tokio::spawn(async move { wait.next().await });
    engine
        .docker
        .start_container(id, None::<StartContainerOptions>)
        .await
        .or_say(|| "can't start the container".into())?;
    let resize = |(width, height): (u16, u16)| {
        let (docker, id) = (engine.docker.clone(), id.to_owned());
        async move {
            let options = ResizeContainerTTYOptionsBuilder::new().h(i32::from(height)).w(i32::from(width)).build();
            docker.resize_container_tty(&id, options).await.unwrap_or(());
        }
    };
    converse(attached.output, attached.input, terminal, input, resize, interrupt).await?;
    match waited.await {
        Ok(Some(Ok(ended))) => Ok(ended.status_code),
        Ok(Some(Err(Error::DockerContainerWaitError { code, .. }))) => Ok(code),
        Ok(Some(Err(error))) if status(&error) != Some(404) => Err(failure("can't read the exit code", &error)),
        _ => exit_code(engine, id).await,
    }
}

async fn exit_code(engine: &Engine, id: &str) -> Result<i64> {
    let found = engine.docker.inspect_container(id, None).await.or_say(|| "can't read the exit code".into())?;
    Ok(found.state.and_then(|state| state.exit_code).unwrap_or(0))
}

type Output = Pin<Box<dyn Stream<Item = std::result::Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Copies both ways until the other side ends; gives the last words on standard error.
async fn converse<F: Future<Output = ()>>(
    mut output: Output,
    mut input: Input,
    terminal: bool,
    with_input: bool,
    resize: impl Fn((u16, u16)) -> F,
    interrupt: &CancellationToken,
) -> Result<String> {
    let raw = if terminal && std::io::stdin().is_terminal() { Some(tty::Raw::enter()?) } else { None };
    let mut windows = signal(SignalKind::window_change()).or_fail(|| "can't follow the window's size".into())?;
    if terminal && let Some(size) = tty::window() {
        resize(size).await;
    }
    if with_input {
        tokio::spawn(async move {
            let (mut stdin, mut bytes) = (tokio::io::stdin(), vec![0; 8 * 1024]);
            while let Ok(read @ 1..) = stdin.read(&mut bytes).await {
                if input.write_all(&bytes[..read]).await.is_err() || input.flush().await.is_err() {
                    return;
                }
            }
            // The command sees the end of its input.
            let _ = input.shutdown().await;
        });
    }
    let mut last_words = String::new();
    loop {
        tokio::select! {
            part = output.next() => match part {
                Some(Ok(part)) => {
                    let is_error = matches!(part, LogOutput::StdErr { .. });
                    let bytes = part.into_bytes();
                    if is_error {
                        String::from_utf8_lossy(&bytes).trim().clone_into(&mut last_words);
                        let _ = std::io::stderr().write_all(&bytes);
                    } else {
                        let mut out = std::io::stdout();
                        out.write_all(&bytes).and_then(|()| out.flush()).map_err(|error| broken(&error))?;
                    }
                }
                Some(Err(error)) => return Err(failure("the connection to the container broke", &error)),
                None => break,
            },
            Some(()) = windows.recv(), if terminal => if let Some(size) = tty::window() {
                resize(size).await;
            },
            () = interrupt.cancelled() => return Err(Failure::interrupted(2)),
        }
    }
    drop(raw);
    Ok(last_words)
}

fn broken(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Failure::new(crate::failure::Kind::BrokenPipe, "standard output was closed")
    } else {
        Failure::failed("can't write to standard output").because(error)
    }
}

use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::Result;
use crate::stack::docker::{Command, OneOff, Ran, Stack, Wishes};

/// Run a command in a new container of a service (Docker)
///
/// What the service depends on is brought up first. The service's ports are not published unless asked for.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev run --rm backend migrate status\n  \
                        streamify dev run --rm -e LOG=debug backend sh")]
pub(super) struct Arguments {
    /// Remove the container when it has ended
    #[arg(long)]
    rm: bool,
    /// Leave it running, and print its name
    #[arg(short, long)]
    detach: bool,
    /// With this variable: NAME=VALUE
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// As this user
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// In this folder
    #[arg(short = 'w', long = "workdir", value_name = "FOLDER")]
    directory: Option<String>,
    /// Another entry point than the image's
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// The container's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Publish the service's ports
    #[arg(short = 'P', long)]
    service_ports: bool,
    /// Without what the service depends on
    #[arg(long)]
    no_deps: bool,
    /// Without a terminal in the container
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// Seconds until it gives up waiting for what the service depends on
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    service: String,
    /// The command with its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("run", choice, context).await?;
    let settings = context.settings()?;
    let project = place.project()?;
    let report = context.terminal.report();
    let stack = Stack::new(&place.engine, project, &settings.environment);
    let dependencies: Vec<String> = project
        .service(&arguments.service)
        .map(|service| service.depends_on.keys().cloned().collect())
        .unwrap_or_default();
    if !arguments.no_deps && !dependencies.is_empty() {
        let wishes = Wishes { services: dependencies, ..Wishes::default() };
        let limit = arguments.wait_timeout.map_or(settings.dev.wait_timeout, std::time::Duration::from_secs);
        let prospect = stack.prospect(&wishes).await?;
        stack.up(prospect, &wishes, limit, &*report).await?;
    }
    let wanted = OneOff {
        service: arguments.service.clone(),
        command: Command {
            words: arguments.words.clone(),
            environment: arguments.environment.clone(),
            user: arguments.user.clone(),
            directory: arguments.directory.clone(),
            privileged: false,
            terminal: arguments.no_tty.then_some(false),
            input: true,
        },
        entrypoint: arguments.entrypoint.as_ref().map(|program| vec![program.clone()]),
        remove: arguments.rm,
        with_ports: arguments.service_ports,
        name: arguments.name.clone(),
        detach: arguments.detach,
    };
    match stack.run(&wanted, &*report, &context.interrupt).await? {
        Ran::Exited(code) => Ok(Outcome::Exited(u8::try_from(code).unwrap_or(1))),
        Ran::Detached(name) => {
            context.terminal.result(|_| name.clone(), &serde_json::json!({"container": name}))?;
            Ok(Outcome::Done)
        }
    }
}

use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::{Failure, Result};
use crate::stack::docker::nth;

/// Show where a container's port is on this machine (Docker)
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify dev port postgres 5432")]
pub(super) struct Arguments {
    service: String,
    /// The port in the container
    port: u16,
    /// tcp or udp
    #[arg(long, default_value = "tcp")]
    protocol: String,
    /// Which of the service's containers, from 1
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    index: u32,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("port", choice, context).await?;
    let entry = nth(&place.engine, &place.name, &arguments.service, arguments.index).await?;
    let found = entry
        .ports
        .iter()
        .find(|port| port.container_port == arguments.port && port.protocol == arguments.protocol)
        .ok_or_else(|| {
            let known: Vec<_> = entry.ports.iter().map(|port| port.container_port.to_string()).collect();
            let failure = Failure::failed(format!("{} does not publish port {}", arguments.service, arguments.port));
            if known.is_empty() { failure } else { failure.hint(format!("It publishes: {}.", known.join(", "))) }
        })?;
    context.terminal.result(|_| format!("{}:{}", found.host_ip, found.host_port), found)?;
    Ok(Outcome::Done)
}

//! Reading and writing topics.

mod produce;
mod tail;
mod topics;
mod ui;

use clap::{Args, Subcommand};

use super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::kafka::{Connection, brokers};
use crate::stack;

/// Follow, list and fill Kafka topics
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Tail(tail::Arguments),
    Topics(topics::Arguments),
    Produce(produce::Arguments),
    Ui(ui::Arguments),
}

/// Which cluster, and how to talk to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
struct Cluster {
    /// The brokers as host:port, several separated by commas [default: kafka.brokers, or the local stack]
    #[arg(short, long, value_name = "BROKERS")]
    brokers: Option<String>,
    /// A property of librdkafka; a secret by NAME.file=PATH
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
}

impl Cluster {
    async fn connection(&self, context: &Context) -> Result<Connection> {
        let settings = context.settings()?;
        let local = || stack::running(settings).map(|stack| stack.kafka_brokers);
        let brokers = brokers(self.brokers.as_deref(), settings, local);
        let tokens = super::kafka_tokens(settings, &brokers).await?;
        Ok(Connection::new(brokers, &settings.kafka.properties, &self.properties)?.with_tokens(tokens))
    }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    super::on_threads(
        async {
            match &arguments.command {
                Command::Tail(arguments) => tail::run(arguments, context).await,
                Command::Topics(arguments) => topics::run(arguments, context).await,
                Command::Produce(arguments) => produce::run(arguments, context).await,
                Command::Ui(arguments) => ui::run(arguments, context).await,
            }
        },
        context,
    )
}

/// Runs what blocks beside the signals' listener.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::failed("the work ended unexpectedly").because(&error))?
}

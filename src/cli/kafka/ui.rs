use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Cluster, Context, Outcome};
use crate::failure::{Failure, Result};
use crate::kafka::panel;

/// Serve the Kafka panel: topics, partitions, consumers, and the newest messages live
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify kafka ui --listen 127.0.0.1:8080")]
pub(super) struct Arguments {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    cluster: Cluster,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let connection = arguments.cluster.connection(context).await?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::failed(format!("can't listen on {}", arguments.listen))
            .because(&error)
            .hint("Choose another address with --listen.")
    })?;
    context.terminal.report().note(&format!("The Kafka panel is at http://{}", arguments.listen));
    panel::serve(connection, listener, context.interrupt.clone()).await?;
    Ok(Outcome::Done)
}

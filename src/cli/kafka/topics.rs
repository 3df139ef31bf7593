use super::{Cluster, Context, Outcome, blocking};
use crate::failure::Result;
use crate::kafka::topics;
use crate::terminal::Table;

/// List the topics with their partitions and messages
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Kafka's own topics too
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    cluster: Cluster,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let connection = arguments.cluster.connection(context).await?;
    let internal = arguments.internal;
    let topics = blocking(move || topics::list(&connection, internal)).await?;
    context.terminal.result(
        |paint| {
            if topics.is_empty() {
                return "There are no topics.".to_owned();
            }
            let mut table = Table::new(["topic", "partitions", "messages"]);
            for topic in &topics {
                table.row([paint.strong(&topic.name), topic.partitions.len().to_string(), topic.messages.to_string()]);
            }
            table.text()
        },
        &topics,
    )?;
    Ok(Outcome::Done)
}

use serde_json::json;

use super::{Cluster, Context, Outcome, blocking};
use crate::failure::Result;
use crate::kafka::produce;

/// Send the lines of standard input to a topic, each as a message
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  echo '{\"id\":1}' | streamify kafka produce video.created --key 1 --header source=hand"
)]
pub(super) struct Arguments {
    /// A topic that exists
    topic: String,
    /// The key of every message
    #[arg(short, long)]
    key: Option<String>,
    /// A header of every message; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    #[command(flatten)]
    cluster: Cluster,
}

fn header(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a header is NAME=VALUE")?;
    if name.is_empty() || name.contains('\0') {
        return Err("a header needs a name".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let connection = arguments.cluster.connection(context).await?;
    let options = produce::Options {
        topic: arguments.topic.clone(),
        key: arguments.key.clone(),
        headers: arguments.headers.clone(),
    };
    let stop = context.interrupt.clone();
    let sent = blocking(move || produce::produce(&connection, &options, std::io::stdin().lock(), &stop)).await?;
    context.terminal.result(
        |paint| format!("{} sent {sent} messages to {}", paint.good("✔"), arguments.topic),
        &json!({"topic": arguments.topic, "sent": sent}),
    )?;
    Ok(Outcome::Done)
}

use super::super::{Context, Outcome};
use super::{Building, repository};
use crate::failure::Result;
use crate::image::{self, Built, Layout, spoken};
use crate::stack::docker::Engine;
use crate::terminal::{Paint, Table};

/// Build images into OCI layouts, the same bytes from the same files
///
/// Without a name every image of streamify.yaml is built. The image `app` is this program. Programs that are linked
/// dynamically take the C library of this machine along, unless a base is named.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify image build\n  streamify image build app --load\n  \
                        streamify image build app --compression gzip --layout out\n  \
                        streamify image build app --output json | jq -r '.[0].digest'\n\n\
                        SOURCE_DATE_EPOCH sets the time that the image says it was made at; without it that is the\n\
                        commit's. The same image is the same digest, also on another day.")]
pub(super) struct Arguments {
    /// Images of streamify.yaml
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Hand the image to the Docker daemon, too, as REPOSITORY:TAG and REPOSITORY:latest
    #[arg(long)]
    load: bool,
    #[command(flatten)]
    building: Building,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let report = context.terminal.report();
    let mut all = Vec::new();
    for order in arguments.building.orders(&arguments.names, settings, context)? {
        let built = arguments.building.build(&order, context).await?;
        if arguments.load {
            let engine = Engine::connect(&context.environment).await?;
            let layout = Layout::open(&built.layout)?;
            let repository = repository(settings, &order.name, &order.image);
            let tags = [built.tag.as_str(), "latest"].map(|tag| format!("{repository}:{tag}"));
            image::load(&order.name, &layout, engine.client(), &tags, &report).await?;
        }
        all.push(built);
    }
    context
        .terminal
        .result(|paint| all.iter().map(|built| describe(paint, built)).collect::<Vec<_>>().join("\n\n"), &all)?;
    Ok(Outcome::Done)
}

fn describe(paint: Paint, built: &Built) -> String {
    let mut table = Table::new(["platform", "layer", "size", ""]);
    for platform in &built.platforms {
        for layer in &platform.layers {
            let state = if layer.cached { paint.dim("as before") } else { paint.good("new") };
            table.row([platform.platform.clone(), layer.title.clone(), spoken(layer.size), state]);
        }
    }
    format!(
        "{} {} {}\n{}\n{}",
        paint.good("✔"),
        paint.strong(&built.name),
        built.digest,
        table.text(),
        paint.dim(format!("{} in {}", spoken(built.size()), built.layout.display()))
    )
}

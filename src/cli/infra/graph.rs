use std::path::PathBuf;

use serde_json::json;

use super::super::{Context, Outcome};
use super::{Ground, Place};
use crate::failure::{OrFail, Result};
use crate::infra::{Form, Graph, Purpose};

/// Draw what there is: resources by module, and what needs what
///
/// From the state; before the first apply, or with --plan, from the kept plan.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify infra graph prod --file prod.mmd\n  \
                        streamify infra graph prod --format dot | dot -Tsvg > prod.svg\n  streamify infra graph prod --plan")]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// mermaid, or dot (Graphviz)
    #[arg(long, value_name = "FORM", value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    /// What the kept plan makes, and not what there is
    #[arg(long)]
    plan: bool,
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Mermaid,
    Dot,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    let name = &ground.environment.name;
    let site = ground.site().await?;
    site.initialise(true).await?;
    let mut graph = if arguments.plan { Graph::default() } else { Graph::of_state(&site.show(None).await?) };
    if graph.is_empty()
        && let Some(planned) = site.fresh(Purpose::Apply).await?
    {
        graph = Graph::of_plan(&planned.shown);
    }
    if graph.is_empty() {
        ground.report.hint(&format!("There is nothing yet; `streamify infra plan {name}` keeps a plan to draw."));
    }
    let form = match arguments.format {
        Format::Mermaid => Form::Mermaid,
        Format::Dot => Form::Dot,
    };
    let text = graph.text(form);
    if let Some(file) = &arguments.file {
        std::fs::write(file, &text).or_fail(|| format!("can't write {}", file.display()))?;
        ground.report.note(&format!("wrote {}", file.display()));
        return Ok(Outcome::Done);
    }
    context.terminal.result(|_| text, &json!({ "modules": graph.modules, "edges": graph.edges }))?;
    Ok(Outcome::Done)
}

use std::fmt::Write as _;
use std::path::Path;

use super::super::{Context, Outcome};
use super::{credentials, usual_layout};
use crate::failure::Result;
use crate::image::{self, Inspected, InspectedPlatform, Layout, Reference, Registry, spoken};
use crate::terminal::{Paint, Table};

/// Show what an image is: platforms, layers, how it runs, labels, its list of contents
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify image inspect app\n  streamify image inspect out\n  \
                        streamify image inspect registry.example.com/team/app:1.2\n  \
                        streamify image inspect debian:12 --output json | jq -r .digest")]
pub(super) struct Arguments {
    /// An image of streamify.yaml, a folder with an OCI layout, or a name in a registry
    #[arg(value_name = "IMAGE")]
    image: String,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let found = find(&arguments.image, context).await?;
    context.terminal.result(|paint| describe(paint, &found), &found)?;
    Ok(Outcome::Done)
}

async fn find(text: &str, context: &Context) -> Result<Inspected> {
    let settings = context.settings()?;
    let folder = settings.directory.join(text);
    if Layout::is_at(&folder) || Path::new(text).is_absolute() {
        return image::inspect_layout(&Layout::open(&folder)?).await;
    }
    if settings.ship.images.contains_key(text) {
        return image::inspect_layout(&image::built_layout(&usual_layout(settings, text), text)?).await;
    }
    let reference = Reference::parse(text)?;
    let registry = Registry::new(&reference.registry, &context.environment, credentials(context))?;
    image::inspect_registry(&registry, &reference).await
}

fn describe(paint: Paint, found: &Inspected) -> String {
    let mut text = format!("{}\n{}", paint.strong(&found.image), found.digest);
    for platform in &found.platforms {
        let _ = write!(text, "\n\n{}", describe_platform(paint, platform));
    }
    text
}

fn describe_platform(paint: Paint, platform: &InspectedPlatform) -> String {
    let user = if platform.user.is_empty() { "root".to_owned() } else { platform.user.clone() };
    let sbom = platform.sbom.as_ref().map_or_else(|| paint.warning("none"), ToString::to_string);
    let mut facts = Table::new([platform.platform.clone(), String::new()]);
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            facts.row([name.to_owned(), value]);
        }
    };
    fact("digest", platform.digest.to_string());
    fact("created", platform.created.clone().unwrap_or_default());
    fact("user", user);
    fact("entrypoint", platform.entrypoint.join(" "));
    fact("command", platform.command.join(" "));
    fact("folder", platform.working_directory.clone());
    fact("ports", platform.ports.join(", "));
    fact("environment", platform.environment.join("\n"));
    fact("contents", sbom);
    let mut text = facts.text();
    for (name, value) in &platform.labels {
        let _ = write!(text, "\n{} {value}", paint.dim(name));
    }
    let mut layers = Table::new(["layer", "size", "made by"]);
    for layer in &platform.layers {
        let made = layer.created_by.as_deref().unwrap_or_default();
        let made: String = made.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(70).collect();
        layers.row([layer.digest.short().to_owned(), spoken(layer.size), made]);
    }
    let total = platform.layers.iter().map(|layer| layer.size).sum();
    format!("{text}\n\n{}\n{}", layers.text(), paint.dim(format!("{} compressed", spoken(total))))
}

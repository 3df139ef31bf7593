//! Building, pushing and looking at images.

mod build;
mod ecr;
mod github;
mod inspect;
mod push;

pub(super) use push::ship;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{Context, Outcome};
use crate::failure::{Failure, OrFail, Result};
use crate::image::{self, Built, Credentials, DockerConfig, Order};
use crate::settings::{Compression, Image, Settings};
use crate::stack::docker::Engine;

/// Build, push and look at images, with or without a Docker daemon
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Arguments),
    Push(push::Arguments),
    Inspect(inspect::Arguments),
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let work = async {
        match &arguments.command {
            Command::Build(arguments) => build::run(arguments, context).await,
            Command::Push(arguments) => push::run(arguments, context).await,
            Command::Inspect(arguments) => inspect::run(arguments, context).await,
        }
    };
    // Whatever is left half done is swept by the next build, and gone on with by the next push.
    tokio::select! {
        outcome = work => outcome,
        () = context.interrupt.cancelled() => Err(Failure::interrupted(2)),
    }
}

/// What builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Builder {
    /// A Dockerfile by a Docker daemon, everything else without one
    #[default]
    Auto,
    /// This program itself, without a daemon
    Own,
    /// A Docker daemon, from a Dockerfile
    Docker,
}

/// How images are built, for every command that builds.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Building")]
struct Building {
    /// Where the image goes; one image only [default: .streamify/images/NAME]
    #[arg(long, value_name = "FOLDER")]
    layout: Option<PathBuf>,
    /// What builds: auto, own, docker
    #[arg(long, value_enum, default_value_t, value_name = "BUILDER", hide_possible_values = true)]
    builder: Builder,
    /// How layers are compressed: zstd or gzip [default: the entry's, or zstd]
    #[arg(long, value_name = "HOW")]
    compression: Option<CompressionFlag>,
    /// A platform such as linux/arm64, instead of the entry's; may be given several times
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CompressionFlag {
    Zstd,
    Gzip,
}

impl Building {
    /// What to build: the images that are named, or all of them.
    fn orders(&self, names: &[String], settings: &Settings, context: &Context) -> Result<Vec<Order>> {
        let images = &settings.ship.images;
        let unknown = names.iter().find(|name| !images.contains_key(*name));
        if let Some(name) = unknown {
            let known: Vec<&str> = images.keys().map(String::as_str).collect();
            return Err(Failure::usage(format!("there is no image `{name}`"))
                .hint(format!("`images` in streamify.yaml has {}.", known.join(", "))));
        }
        let chosen: Vec<&String> = if names.is_empty() { images.keys().collect() } else { names.iter().collect() };
        if self.layout.is_some() && chosen.len() > 1 {
            return Err(Failure::usage("--layout is for one image").hint("Name the image, too."));
        }
        let program = std::env::current_exe().or_fail(|| "can't find this program itself".into())?;
        let order = |name: &String| {
            let mut image = images[name].clone();
            if let Some(compression) = self.compression {
                image.compression = Some(match compression {
                    CompressionFlag::Zstd => Compression::Zstd,
                    CompressionFlag::Gzip => Compression::Gzip,
                });
            }
            if !self.platforms.is_empty() {
                image.platforms.clone_from(&self.platforms);
            }
            let layout = self.layout.as_ref().map(|folder| settings.directory.join(folder));
            Order {
                name: name.clone(),
                image,
                directory: settings.directory.clone(),
                layout: layout.unwrap_or_else(|| usual_layout(settings, name)),
                program: program.clone(),
                environment: context.environment.clone(),
            }
        };
        Ok(chosen.into_iter().map(order).collect())
    }

    async fn build(&self, order: &Order, context: &Context) -> Result<Built> {
        let by_docker = match self.builder {
            Builder::Auto => order.image.dockerfile.is_some(),
            Builder::Docker => true,
            Builder::Own if order.image.dockerfile.is_some() => {
                return Err(Failure::usage(format!("the image `{}` is a Dockerfile", order.name))
                    .cause("what a Dockerfile says is run, and a Docker daemon runs it")
                    .hint("Leave --builder away, or give the image a `binary` or a `folder`."));
            }
            Builder::Own => false,
        };
        if !by_docker {
            return image::build(order.clone(), &credentials(context), &context.terminal.report()).await;
        }
        let mut order = order.clone();
        order.image.dockerfile.get_or_insert_with(|| "Dockerfile".into());
        docker(&order, context).await
    }
}

/// Where an image is kept unless it is told otherwise.
fn usual_layout(settings: &Settings, name: &str) -> PathBuf {
    settings.directory.join(".streamify/images").join(name)
}

/// The repository of an image: its own name for it, or the project's and the image's names.
fn repository(settings: &Settings, name: &str, image: &Image) -> String {
    image.repository.clone().unwrap_or_else(|| format!("{}/{name}", settings.name))
}

fn credentials(context: &Context) -> Arc<dyn Credentials> {
    Arc::new(DockerConfig::new(&context.environment))
}

/// Builds a Dockerfile by a daemon, and takes the image out of it.
async fn docker(order: &Order, context: &Context) -> Result<Built> {
    let engine = Engine::connect(&context.environment).await?;
    let report = context.terminal.report();
    let tag = format!("streamify-build/{}:latest", order.name);
    let folder = order.image.context.as_ref().map_or_else(|| order.directory.clone(), |one| order.directory.join(one));
    let dockerfile = order.image.dockerfile.as_ref().map(|file| order.directory.join(file)).unwrap_or_default();
    let platform = order.image.platforms.first().map_or("", String::as_str);
    if order.image.platforms.len() > 1 {
        return Err(Failure::usage(format!("the image `{}` has several platforms", order.name))
            .cause("a daemon gives only one of them back")
            .hint("Build them one by one: --platform linux/amd64"));
    }
    engine.build_dockerfile(&folder, &dockerfile, &tag, platform, &context.environment, report.as_ref()).await?;
    image::import(order, engine.client(), &tag, &report).await
}

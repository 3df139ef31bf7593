use std::collections::{BTreeMap, BTreeSet};

use super::super::{Context, Outcome};
use super::{Building, credentials, ecr, github, repository};
use crate::failure::{Failure, Result};
use crate::image::{self, Layout, Pushed, Registry, Target, spoken};
use crate::settings::{EnvironmentSettings, Settings, Target as EnvironmentTarget};
use crate::terminal::{Paint, Table};

/// Build images and push what the registry does not have yet
///
/// The registry is the environment's: `environments.NAME.registry`, or ECR of its account and region, where
/// repositories are made on demand. The digest is what to deploy; in GitHub Actions it is written to $GITHUB_OUTPUT.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify image push --environment prod\n  \
                        streamify image push app --registry localhost:5000 --tag 1.2.0\n  \
                        streamify image push --environment prod --dry-run\n  \
                        streamify image push --environment prod --output json | jq -r '.[].image'\n\n\
                        Logins come from Docker's config.json and its credential helpers, and for ECR from the AWS\n\
                        credentials of the environment.")]
pub(super) struct Arguments {
    /// Images of streamify.yaml [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The environment whose registry it goes to [default: the only one]
    #[arg(short, long, value_name = "ENV")]
    environment: Option<String>,
    /// Another registry, as host or host:port
    #[arg(long, value_name = "HOST")]
    registry: Option<String>,
    /// Another repository; one image only
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// A tag; may be given several times [default: the commit's first twelve digits]
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Build, ask what the registry has, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Push what was built before
    #[arg(long, conflicts_with_all = ["builder", "compression", "platforms"])]
    no_build: bool,
    #[command(flatten)]
    building: Building,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let orders = arguments.building.orders(&arguments.names, settings, context)?;
    if arguments.repository.is_some() && orders.len() > 1 {
        return Err(Failure::usage("--repository is for one image").hint("Name the image, too."));
    }
    let place = match &arguments.registry {
        Some(registry) => Place::named(registry, context)?,
        None => {
            let environment = match &arguments.environment {
                Some(name) => settings.ship.environment(name, &settings.name)?,
                None => only_environment(settings)?,
            };
            Place::of(&environment, context).await?
        }
    };
    let mut all = Vec::new();
    for order in orders {
        let (layout, tag, expected) = if arguments.no_build {
            let layout = image::built_layout(&order.layout, &order.name)?;
            let tag = if arguments.tags.is_empty() { layout.tag()? } else { String::new() };
            (layout, tag, None)
        } else {
            let built = arguments.building.build(&order, context).await?;
            (Layout::open(&built.layout)?, built.tag, Some(built.digest))
        };
        let tags = if arguments.tags.is_empty() { vec![tag] } else { arguments.tags.clone() };
        let repository =
            arguments.repository.clone().unwrap_or_else(|| repository(settings, &order.name, &order.image));
        let target = Target { repository: place.repository(&repository), tags, expected, dry_run: arguments.dry_run };
        all.push(place.push(&order.name, &layout, &target, context).await?);
    }
    if !arguments.dry_run {
        github::tell(context, &all)?;
    }
    context.terminal.result(|paint| describe(paint, &all), &all)?;
    Ok(Outcome::Done)
}

/// Builds the named images and brings them into the registry of an environment; gives their references by digest, by
/// name. Without `push` nothing is sent anywhere, and the references are those that they would have.
///
/// # Errors
/// One can't be built, or the registry can't be reached or refuses it.
pub(in crate::cli) async fn ship(
    environment: &EnvironmentSettings,
    names: &BTreeSet<String>,
    push: bool,
    context: &Context,
) -> Result<BTreeMap<String, String>> {
    let settings = context.settings()?;
    let building = Building::default();
    let place = Place::of(environment, context).await?;
    let names: Vec<String> = names.iter().cloned().collect();
    let mut references = BTreeMap::new();
    for order in building.orders(&names, settings, context)? {
        let built = building.build(&order, context).await?;
        let repository = repository(settings, &order.name, &order.image);
        let reference = if push {
            let layout = Layout::open(&built.layout)?;
            let (repository, expected) = (place.repository(&repository), Some(built.digest));
            let target = Target { repository, tags: vec![built.tag], expected, dry_run: false };
            place.push(&order.name, &layout, &target, context).await?.image
        } else {
            format!("{}/{}@{}", place.registry.name(), place.repository(&repository), built.digest)
        };
        references.insert(order.name, reference);
    }
    Ok(references)
}

/// A registry, and what it takes to have a repository in it.
struct Place {
    registry: Registry,
    /// What stands before repositories, from `registry: host/team`.
    prefix: Option<String>,
    ecr: Option<ecr::Ecr>,
}

impl Place {
    /// The environment's own, or ECR of its account and region.
    async fn of(environment: &EnvironmentSettings, context: &Context) -> Result<Self> {
        if let Some(named) = &environment.registry {
            return Self::named(named, context);
        }
        if environment.target == EnvironmentTarget::Docker {
            return Err(Failure::usage(format!("the environment `{}` has no registry", environment.name))
                .cause("it is a Docker host, and nothing says where that takes its images from")
                .hint(format!(
                    "Set environments.{}.registry in streamify.yaml, or give --registry HOST.",
                    environment.name
                ))
                .hint("A daemon on this machine needs none: streamify image build --load"));
        }
        let ecr = ecr::Ecr::connect(environment, context).await?;
        let registry = Registry::new(ecr.host(), &context.environment, ecr.credentials())?;
        Ok(Self { registry, prefix: None, ecr: Some(ecr) })
    }

    /// `host`, `host:port` or `host/prefix`.
    fn named(text: &str, context: &Context) -> Result<Self> {
        let (host, prefix) = match text.split_once('/') {
            Some((host, prefix)) if !prefix.is_empty() => (host, Some(prefix.trim_matches('/').to_owned())),
            _ => (text.trim_end_matches('/'), None),
        };
        let registry = Registry::new(host, &context.environment, credentials(context))?;
        Ok(Self { registry, prefix, ecr: None })
    }

    /// The repository's whole name.
    fn repository(&self, name: &str) -> String {
        self.prefix.as_ref().map_or_else(|| name.to_owned(), |prefix| format!("{prefix}/{name}"))
    }

    /// Pushes a layout; where the repository has to be made first, it is.
    async fn push(&self, name: &str, layout: &Layout, target: &Target, context: &Context) -> Result<Pushed> {
        if let Some(ecr) = self.ecr.as_ref().filter(|_| !target.dry_run) {
            ecr.ensure(&target.repository).await?;
        }
        let report = context.terminal.report();
        image::push(name, layout, &self.registry, target, &context.environment, &report).await
    }
}

fn only_environment(settings: &Settings) -> Result<EnvironmentSettings> {
    let names: Vec<&String> = settings.ship.environment_names().collect();
    match names.as_slice() {
        [only] => settings.ship.environment(only, &settings.name),
        [] => Err(Failure::usage("there is no registry to push to")
            .hint("Give one: --registry HOST, or an environment in streamify.yaml.")),
        many => {
            let names: Vec<&str> = many.iter().map(|name| name.as_str()).collect();
            Err(Failure::usage("there are several environments")
                .hint(format!("Choose one: --environment {}", names.join(" or "))))
        }
    }
}

fn describe(paint: Paint, all: &[Pushed]) -> String {
    let mut table = Table::new(["image", "result", "tags", "digest"]);
    for one in all {
        let result = match (one.unchanged, one.dry_run) {
            (true, _) => paint.dim("unchanged"),
            (false, true) => paint.warning(format!("would push {}", spoken(one.blobs.bytes_sent))),
            (false, false) => paint.good("pushed"),
        };
        table.row([paint.strong(&one.name), result, one.tags.join(", "), one.digest.to_string()]);
    }
    let lines = all.iter().map(|one| one.image.clone()).collect::<Vec<_>>().join("\n");
    format!("{}\n\n{lines}", table.text())
}

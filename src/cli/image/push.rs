use super::super::{Context, Outcome};
use super::{Building, credentials, ecr, github, repository};
use crate::failure::{Failure, Result};
use crate::image::{self, Layout, Pushed, Registry, Target};
use crate::settings::{EnvironmentSettings, Settings};
use crate::terminal::{Paint, Table};

/// Build images and push what the registry does not have yet
///
/// The registry is the environment's: `environments.NAME.registry`, or ECR of its account and region, where
/// repositories are made on demand. The digest is what to deploy; in GitHub Actions it is written to $GITHUB_OUTPUT.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify image push --environment prod\n  \
                        streamify image push app --registry localhost:5000 --tag 1.2.0\n  \
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
    let place = Place::find(arguments, settings, context).await?;
    let mut all = Vec::new();
    for order in orders {
        let (layout, tag) = if arguments.no_build {
            let layout = image::built_layout(&order.layout, &order.name)?;
            let tag = layout.tag()?;
            (layout, tag)
        } else {
            let built = arguments.building.build(&order, context).await?;
            (Layout::open(&built.layout)?, built.tag)
        };
        let tags = if arguments.tags.is_empty() { vec![tag] } else { arguments.tags.clone() };
        let repository =
            arguments.repository.clone().unwrap_or_else(|| repository(settings, &order.name, &order.image));
        let repository = place.repository(repository).await?;
        let target = Target { repository, tags };
        let report = context.terminal.report();
        all.push(image::push(&order.name, &layout, &place.registry, &target, &context.environment, &report).await?);
    }
    github::tell(context, &all)?;
    context.terminal.result(|paint| describe(paint, &all), &all)?;
    Ok(Outcome::Done)
}

/// A registry, and what it takes to have a repository in it.
struct Place {
    registry: Registry,
    /// What stands before repositories, from `registry: host/team`.
    prefix: Option<String>,
    ecr: Option<ecr::Ecr>,
}

impl Place {
    async fn find(arguments: &Arguments, settings: &Settings, context: &Context) -> Result<Self> {
        let named = match (&arguments.registry, &arguments.environment) {
            (Some(registry), _) => Some(registry.clone()),
            (None, Some(name)) => settings.ship.environment(name, &settings.name)?.registry,
            (None, None) => only_environment(settings)?.registry,
        };
        let Some(named) = named else {
            let environment = match &arguments.environment {
                Some(name) => settings.ship.environment(name, &settings.name)?,
                None => only_environment(settings)?,
            };
            let ecr = ecr::Ecr::connect(&environment, context).await?;
            let registry = Registry::new(ecr.host(), &context.environment, ecr.credentials())?;
            return Ok(Self { registry, prefix: None, ecr: Some(ecr) });
        };
        let (host, prefix) = match named.split_once('/') {
            Some((host, prefix)) if !prefix.is_empty() => (host, Some(prefix.trim_matches('/').to_owned())),
            _ => (named.as_str(), None),
        };
        let registry = Registry::new(host, &context.environment, credentials(context))?;
        Ok(Self { registry, prefix, ecr: None })
    }

    /// The repository's whole name; where it has to be made first, it is.
    async fn repository(&self, name: String) -> Result<String> {
        if let Some(ecr) = &self.ecr {
            ecr.ensure(&name).await?;
        }
        Ok(self.prefix.as_ref().map_or_else(|| name.clone(), |prefix| format!("{prefix}/{name}")))
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
        let result = if one.unchanged { paint.dim("unchanged") } else { paint.good("pushed") };
        table.row([paint.strong(&one.name), result, one.tags.join(", "), one.digest.to_string()]);
    }
    let lines = all.iter().map(|one| one.image.clone()).collect::<Vec<_>>().join("\n");
    format!("{}\n\n{lines}", table.text())
}

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use streamify_backend::{Config, JwtConfig, JwtKey, KafkaConfig, Listeners, PageConfig};
use tokio::net::TcpListener;

use super::{Context, Outcome, functions};
use crate::failure::{Failure, Result};
use crate::settings::Settings;

/// Run the backend, or with --page the page: what a container runs
///
/// Takes DATABASE_URL (or DATABASE_HOST and its like), KAFKA_BROKERS and JWT_KEYS from the environment. Migrations are run by `streamify migrate run`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    DATABASE_URL=postgres://… KAFKA_BROKERS=localhost:9092 JWT_KEYS=key-1:… streamify serve\n  \
    STREAMIFY_API_BASE=http://localhost:3001 streamify serve --page --listen 127.0.0.1:3000\n  \
    streamify serve --check\n  \
    streamify serve --check=started\n\n\
    The first key of JWT_KEYS signs and all verify: to rotate, put a new one first, and drop the old one\n\
    when its last token has expired. `streamify help environment` lists every variable.")]
pub(super) struct Arguments {
    /// Serve the page instead of the API
    #[arg(long)]
    page: bool,
    /// The address to listen on [default: 127.0.0.1:3001, or 127.0.0.1:3000 with --page]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where /metrics is served [default: nowhere]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "page")]
    metrics_listen: Option<SocketAddr>,
    /// Run nothing, and ask the server that runs here, as a container's health check does: whether it is ready, or was
    /// once since it started (the page: whether it answers)
    #[arg(
        long, value_name = "WHAT", conflicts_with = "metrics_listen", num_args = 0..=1, require_equals = true,
        default_missing_value = "ready"
    )]
    check: Option<Check>,
    /// Run as the function of AWS Lambda that STREAMIFY_LAMBDA names; what this program does when Lambda starts it
    /// without arguments
    #[arg(long, conflicts_with_all = ["page", "listen", "metrics_listen", "check"])]
    lambda: bool,
}

/// What a health check asks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Check {
    Ready,
    Started,
}

impl Arguments {
    /// `serve --lambda`.
    pub(super) fn in_lambda() -> Self {
        Self { page: false, listen: None, metrics_listen: None, check: None, lambda: true }
    }
}

/// How long an answer to `--check` may take: less than a health check's usual time-out.
const ANSWER: Duration = Duration::from_secs(3);

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if arguments.lambda {
        // Boxed: clients of AWS would make the frame of every other way large.
        return Box::pin(functions::run(context)).await;
    }
    let settings = context.settings()?;
    let usual = if arguments.page { settings.server.page_listen } else { settings.server.listen };
    let address = arguments.listen.unwrap_or(usual);
    if let Some(what) = arguments.check {
        let path = match what {
            // The page depends on nothing: it is ready as soon as it answers.
            _ if arguments.page => "/health/live",
            Check::Ready => "/health/ready",
            Check::Started => "/health/started",
        };
        check(address, path).await?;
        return Ok(Outcome::Done);
    }
    start_log(settings)?;
    if arguments.page {
        let listener = bind(address).await?;
        let page = PageConfig { api_base: settings.server.api_base.clone() };
        served(streamify_backend::serve_page(page, listener, context.interrupt.clone()).await)?;
        return Ok(Outcome::Done);
    }
    let config = config(settings).await?;
    let metrics = match arguments.metrics_listen.or(settings.server.metrics_listen) {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let listeners = Listeners { api: bind(address).await?, metrics };
    served(streamify_backend::serve(config, listeners, context.interrupt.clone()).await)?;
    Ok(Outcome::Done)
}

/// Asks a server on this machine; images without a shell have no other client than this program.
async fn check(listens: SocketAddr, path: &str) -> Result<()> {
    let mut address = listens;
    if address.ip().is_unspecified() {
        address.set_ip(match listens {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    let url = format!("http://{address}{path}");
    let asked = async {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).build()?;
        let response = client.get(&url).send().await?;
        Ok::<_, reqwest::Error>((response.status(), response.text().await?))
    };
    let (status, text) = asked.await.map_err(|error| {
        Failure::failed(format!("nothing answers at {url}"))
            .because(&error)
            .hint("STREAMIFY_LISTEN and STREAMIFY_PAGE_LISTEN say where it is looked for, or --listen.")
    })?;
    if status.is_success() {
        return Ok(());
    }
    Err(Failure::failed(format!("{url} is not ready: it answers {status}")).cause(text))
}

pub(super) fn served(result: std::result::Result<(), streamify_backend::Error>) -> Result<()> {
    result.map_err(|error| Failure::failed("the server can't run").because(&error))
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!("can't listen on {address}"))
            .because(&error)
            .hint("Choose another one with --listen, or end what holds it.")
    })?;
    tracing::info!(address = %listener.local_addr().unwrap_or(address), "listening");
    Ok(listener)
}

pub(super) async fn config(settings: &Settings) -> Result<Config> {
    let missing = |variable: &str, form: &str| {
        Failure::usage(format!("{variable} is not set")).hint(format!("Set it to {form}."))
    };
    let database = settings.database.required()?;
    let brokers = settings.kafka.brokers.clone().ok_or_else(|| missing("KAFKA_BROKERS", "host:port"))?;
    let keys = settings.server.jwt_keys.as_ref().ok_or_else(|| missing("JWT_KEYS", "id:secret, 32 bytes or more"))?;
    let tokens = super::kafka_tokens(settings, &brokers).await?;
    Ok(Config {
        database,
        database_connections: settings.database.max_connections,
        kafka: KafkaConfig {
            brokers,
            topic: settings.kafka.topic.clone(),
            partitions: 3,
            replicas: -1,
            properties: settings.kafka.properties.clone().into_iter().collect(),
            tokens,
        },
        jwt: JwtConfig {
            keys: JwtKey::parse_list(keys)
                .map_err(|why| Failure::usage("the variable JWT_KEYS is not valid").cause(why))?,
            issuer: "streamify".into(),
            audience: "streamify-api".into(),
            access_token: settings.server.access_token,
            refresh_token: settings.server.refresh_token,
        },
        allowed_origins: settings.server.allowed_origins.clone(),
        trusted_proxies: settings.server.trusted_proxies,
        request_timeout: Duration::from_secs(15),
        body_bytes: 64 * 1024,
        logins_per_minute: settings.server.logins_per_minute,
        shutdown_grace: Duration::from_secs(10),
    })
}

/// Logs go to standard error, as text for people or as JSON for collectors.
pub(super) fn start_log(settings: &Settings) -> Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(&settings.server.log).map_err(|error| {
        Failure::usage("the variable STREAMIFY_LOG is not valid").because(&error).hint("Such as: info,sqlx=warn")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if settings.server.log_json {
        log.json().flatten_event(true).try_init()
    } else {
        log.with_ansi(false).try_init()
    };
    started.map_err(|error| Failure::failed("can't start the log").cause(error.to_string()))
}

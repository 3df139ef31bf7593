//! What the backend has to be told. The command-line tool fills it in; nothing here reads the environment.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;

use crate::{KafkaTokens, Secret};

/// Everything that [`crate::serve`] has to be told.
#[derive(Clone, Debug)]
pub struct Config {
    pub database: DatabaseConfig,
    /// The most connections that this process holds; at least 3, since the relay keeps one for LISTEN.
    pub database_connections: u32,
    pub kafka: KafkaConfig,
    pub jwt: JwtConfig,
    /// Origins (`scheme://host:port`) that may call the API from a browser.
    pub allowed_origins: Vec<String>,
    /// How many proxies stand before the API; that many entries from the right of `X-Forwarded-For` are believed.
    pub trusted_proxies: u8,
    /// A request that takes longer is answered 503.
    pub request_timeout: Duration,
    /// Larger request bodies are answered 413.
    pub body_bytes: usize,
    /// How many tries of login or register one address has in a minute; as many tries of login one account has.
    pub logins_per_minute: u32,
    /// How long requests in flight, sockets and unsent events may take after the shutdown was asked for.
    pub shutdown_grace: Duration,
}

/// Where PostgreSQL is, as whom to connect, and how.
#[derive(Clone)]
pub struct DatabaseConfig(PgConnectOptions);

impl DatabaseConfig {
    /// Reads `postgres://user:password@host:port/database`; None for what is no such address. Why is not said: it would
    /// repeat the password.
    pub fn of_url(url: &Secret) -> Option<Self> {
        let is_known = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme));
        url.expose().parse().ok().filter(|_| is_known).map(Self)
    }

    /// What sqlx connects with.
    pub fn options(&self) -> PgConnectOptions {
        self.0.clone()
    }
}

impl From<PgConnectOptions> for DatabaseConfig {
    fn from(options: PgConnectOptions) -> Self {
        Self(options)
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.get_host(), self.0.get_port());
        write!(formatter, "{host}:{port}/{}", self.0.get_database().unwrap_or_default())
    }
}

/// Where the events go.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// The topic of the app's events; made at start where it is missing.
    pub topic: String,
    /// Partitions of the topic where it has to be made.
    pub partitions: i32,
    /// Replicas of the topic where it has to be made; -1 is the broker's default.
    pub replicas: i32,
    /// Further properties of librdkafka, such as `security.protocol`.
    pub properties: Vec<(String, String)>,
    /// What signs in where the properties choose SASL's OAUTHBEARER.
    pub tokens: Option<KafkaTokens>,
}

/// How access tokens are signed and how long tokens are good for.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// The first one signs, all verify: put a new key first, and drop the old one when its last token has expired.
    pub keys: Vec<JwtKey>,
    pub issuer: String,
    pub audience: String,
    pub access_token: Duration,
    pub refresh_token: Duration,
}

/// One signing key: HS256 with a secret of at least [`JwtKey::MIN_BYTES`] bytes.
#[derive(Clone, Debug)]
pub struct JwtKey {
    /// Travels in the token's header as `kid`.
    pub id: String,
    pub secret: Secret,
}

impl JwtKey {
    /// RFC 7518, section 3.2: a key of the hash's size or more.
    pub const MIN_BYTES: usize = 32;

    /// Reads `id:secret` pairs separated by commas.
    ///
    /// # Errors
    /// Says which pair is wrong, by its place and never by its value.
    pub fn parse_list(text: &Secret) -> Result<Vec<Self>, String> {
        let keys: Vec<Self> = text
            .expose()
            .split(',')
            .enumerate()
            .map(|(index, pair)| match pair.trim().split_once(':') {
                Some((id, secret)) if !id.is_empty() && secret.len() >= Self::MIN_BYTES => {
                    Ok(Self { id: id.to_owned(), secret: Secret::new(secret) })
                }
                Some((id, _)) if !id.is_empty() => {
                    Err(format!("key {} has a secret of fewer than {} bytes", index + 1, Self::MIN_BYTES))
                }
                _ => Err(format!("key {} is not of the form id:secret", index + 1)),
            })
            .collect::<Result<_, _>>()?;
        let mut ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() == keys.len() { Ok(keys) } else { Err("two keys have the same id".into()) }
    }
}

/// The sockets to serve on, bound by the caller, so that a port in use is known before anything starts.
#[derive(Debug)]
pub struct Listeners {
    pub api: TcpListener,
    /// Where `/metrics` is; without it there is none.
    pub metrics: Option<TcpListener>,
}

/// Everything that [`crate::serve_page`] has to be told.
#[derive(Clone, Debug)]
pub struct PageConfig {
    /// The API's address as the browser sees it; empty means the page's own.
    pub api_base: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_wrong_ones_are_named_by_their_place() {
        let long = "x".repeat(32);
        let keys = JwtKey::parse_list(&Secret::new(format!("b:{long}, a:{long}"))).unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let wrong = |text: String| JwtKey::parse_list(&Secret::new(text)).unwrap_err();
        assert_eq!(wrong(format!("a:{long},b:short")), "key 2 has a secret of fewer than 32 bytes");
        assert_eq!(wrong("nothing".into()), "key 1 is not of the form id:secret");
        assert_eq!(wrong(format!("a:{long},a:{long}")), "two keys have the same id");
    }
}

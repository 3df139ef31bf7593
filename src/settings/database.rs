//! Where `PostgreSQL` is: one address, or its parts as Terraform tells them.

use std::net::IpAddr;
use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use streamify_backend::{DatabaseConfig, Secret};

use super::Layers;
use crate::failure::{Failure, Result};

/// `PostgreSQL`. Where it is comes from the environment only, as it holds a password.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    url: Option<Secret>,
    host: Option<String>,
    port: u16,
    name: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    encryption: Option<PgSslMode>,
    /// A file with the certificates that `verify-ca` and `verify-full` trust.
    authorities: Option<PathBuf>,
    pub max_connections: u32,
}

impl DatabaseSettings {
    pub(super) fn resolve(layers: &mut Layers<'_>, max_connections: Option<u32>) -> Result<Self> {
        let encryption = match layers.optional::<String>("database.ssl", Some("DATABASE_SSL"), None)? {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Failure::usage(format!("the variable DATABASE_SSL is not valid: {text}"))
                    .hint("It is disable, prefer, require, verify-ca or verify-full.")
            })?),
        };
        let port = layers.optional("database.port", Some("DATABASE_PORT"), None)?;
        Ok(Self {
            url: layers.secret("database.url", "DATABASE_URL"),
            host: layers.optional("database.host", Some("DATABASE_HOST"), None)?,
            port: port.unwrap_or(5432),
            name: layers.optional("database.name", Some("DATABASE_NAME"), None)?,
            user: layers.optional("database.user", Some("DATABASE_USER"), None)?,
            password: layers.secret("database.password", "DATABASE_PASSWORD"),
            encryption,
            authorities: layers.environment.get("SSL_CERT_FILE").map(PathBuf::from),
            max_connections: layers.value("database.max_connections", None, max_connections, 10)?,
        })
    }

    /// The database that the variables name: `DATABASE_URL`, else the parts. None where neither is there.
    ///
    /// # Errors
    /// An address that is not one; a host without the rest. No value is said: each may hold the password.
    pub fn named(&self) -> Result<Option<DatabaseConfig>> {
        match (&self.url, &self.host) {
            (Some(url), _) => DatabaseConfig::of_url(url).map(Some).ok_or_else(|| {
                Failure::usage("the variable DATABASE_URL is not valid")
                    .hint("It looks like postgres://user:password@host:5432/database, with %XX for what is special.")
                    .hint("DATABASE_HOST, DATABASE_NAME, DATABASE_USER and DATABASE_PASSWORD take each part as it is.")
            }),
            (None, Some(host)) => self.of_parts(host).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The same where there has to be one.
    ///
    /// # Errors
    /// As of [`DatabaseSettings::named`], and neither way is set.
    pub fn required(&self) -> Result<DatabaseConfig> {
        self.named()?.ok_or_else(|| {
            Failure::usage("there is no database: neither DATABASE_URL nor DATABASE_HOST is set")
                .hint("Set DATABASE_URL to postgres://user:password@host/database.")
                .hint("Or set DATABASE_HOST, DATABASE_NAME, DATABASE_USER and DATABASE_PASSWORD.")
        })
    }

    fn of_parts(&self, host: &str) -> Result<DatabaseConfig> {
        let (Some(name), Some(user), Some(password)) = (&self.name, &self.user, &self.password) else {
            let parts = [
                ("DATABASE_NAME", self.name.is_some()),
                ("DATABASE_USER", self.user.is_some()),
                ("DATABASE_PASSWORD", self.password.is_some()),
            ];
            let missing: Vec<&str> = parts.into_iter().filter(|(_, is_set)| !is_set).map(|(name, _)| name).collect();
            return Err(Failure::usage(format!("DATABASE_HOST is set without {}", missing.join(" and ")))
                .cause("the parts go together")
                .hint("Set what is missing, or DATABASE_URL instead of all."));
        };
        // Over a network the password and every row would be readable by who is in between.
        let usual = if is_here(host) { PgSslMode::Prefer } else { PgSslMode::Require };
        let encryption = self.encryption.unwrap_or(usual);
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(self.port)
            .database(name)
            .username(user)
            .password(password.expose())
            .ssl_mode(encryption);
        if let (PgSslMode::VerifyCa | PgSslMode::VerifyFull, Some(file)) = (encryption, &self.authorities) {
            options = options.ssl_root_cert(file);
        }
        Ok(options.into())
    }
}

/// Whether what is said to this host never leaves the machine.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.starts_with('/') || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Environment, Settings, file};
    use super::*;

    const PARTS: [(&str, &str); 4] = [
        ("DATABASE_HOST", "db.internal"),
        ("DATABASE_NAME", "app"),
        ("DATABASE_USER", "rw"),
        ("DATABASE_PASSWORD", "p@ss:w/rd?#%41 'ü"),
    ];

    fn settings(variables: &[(&str, &str)]) -> Result<DatabaseSettings> {
        let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = Environment::default().with(own);
        let file = file::parse("", Path::new("streamify.yaml"))?;
        Settings::resolve(file, None, "/project".into(), &environment).map(|settings| settings.database)
    }

    fn options(variables: &[(&str, &str)]) -> PgConnectOptions {
        settings(variables).unwrap().required().unwrap().options()
    }

    #[test]
    fn the_parts_make_one_database_and_the_password_is_taken_as_it_is() {
        let options = options(&PARTS);
        assert_eq!((options.get_host(), options.get_port()), ("db.internal", 5432));
        assert_eq!((options.get_database(), options.get_username()), (Some("app"), "rw"));
        assert!(format!("{options:?}").contains("p@ss:w/rd?#%41 'ü"));
        let all = settings(&PARTS).unwrap();
        let shown = format!("{all:?} {:?}", all.required().unwrap());
        assert!(shown.contains("db.internal") && !shown.contains("p@ss"), "{shown}");
    }

    #[test]
    fn an_address_goes_before_the_parts() {
        let options = options(&[&PARTS[..], &[("DATABASE_URL", "postgres://u:p@other:7/d")]].concat());
        assert_eq!((options.get_host(), options.get_port()), ("other", 7));
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_it_is_said() {
        let with = |more: &[(&str, &str)]| options(&[&PARTS[..], more].concat()).get_ssl_mode();
        assert!(matches!(with(&[]), PgSslMode::Require));
        for here in ["localhost", "127.0.0.1", "::1", "/run/postgresql"] {
            assert!(matches!(with(&[("DATABASE_HOST", here)]), PgSslMode::Prefer), "{here}");
        }
        assert!(matches!(with(&[("DATABASE_SSL", "disable")]), PgSslMode::Disable));
        assert!(matches!(with(&[("DATABASE_SSL", "verify-full")]), PgSslMode::VerifyFull));
        let failure = settings(&[("DATABASE_SSL", "maybe")]).unwrap_err();
        assert!(failure.message.contains("maybe") && failure.hints[0].contains("verify-full"), "{failure:?}");
    }

    #[test]
    fn what_is_missing_is_named_and_no_value_is_said() {
        let failure = settings(&[]).unwrap().required().unwrap_err();
        assert!(failure.message.contains("DATABASE_URL") && failure.message.contains("DATABASE_HOST"), "{failure:?}");
        assert!(settings(&[]).unwrap().named().unwrap().is_none());
        let failure = settings(&[PARTS[0], PARTS[1]]).unwrap().named().unwrap_err();
        assert_eq!(failure.message, "DATABASE_HOST is set without DATABASE_USER and DATABASE_PASSWORD");
        let failure = settings(&[("DATABASE_URL", "mysql://u:hunter2@h/d")]).unwrap().named().unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        assert!(settings(&[("DATABASE_PORT", "many")]).unwrap_err().message.contains("DATABASE_PORT"));
    }
}

//! A connection to a daemon, and what that daemon can do.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};

use super::discovery::{Address, Candidate, candidates};
use crate::failure::{Failure, Kind, Result};
use crate::settings::Environment;

/// Until a daemon that listens must have said its version.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until response headers; a stop or a wait may take as long as its own grace period.
const REQUEST_SECONDS: u64 = 3600;

/// A version of the engine's API, such as 1.41 (Docker 20.10). Features are gated by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    pub major: u32,
    pub minor: u32,
}

impl ApiVersion {
    /// The oldest that is supported: Docker 20.10.
    pub const OLDEST: Self = Self::new(1, 41);
    /// A create takes several networks, and health checks have a start interval.
    pub const SEVERAL_ENDPOINTS: Self = Self::new(1, 44);
    /// A mount can be a folder of a volume.
    pub const VOLUME_SUBPATH: Self = Self::new(1, 45);
    /// An image can be mounted, and a network can be the preferred gateway.
    pub const IMAGE_MOUNTS: Self = Self::new(1, 48);

    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self::new(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// A daemon that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    /// What it speaks; requests are without a version, so it answers in this one.
    pub api: ApiVersion,
    /// The daemon's own version, such as 20.10.24.
    pub version: String,
    /// Where it was found, as `DOCKER_HOST` has it.
    pub address: String,
    /// What named it, in words.
    pub source: String,
    /// It runs on this machine, so that this machine's ports are its ports.
    pub is_local: bool,
}

impl Engine {
    /// Connects to the daemon that the environment names, or to the first of the usual ones that answers.
    ///
    /// # Errors
    /// None answers (exit code 4): every address that was tried is among the causes.
    pub async fn connect(environment: &Environment) -> Result<Self> {
        let candidates = candidates(environment)?;
        let asked_for = candidates.len() == 1;
        let mut tried = Vec::new();
        let mut denied = false;
        for candidate in candidates {
            match Self::try_one(&candidate).await {
                Ok(engine) => return Ok(engine),
                Err(failure) if failure.kind == Kind::Usage => return Err(failure),
                Err(failure) => {
                    denied |= failure.causes.iter().any(|cause| cause.contains("ermission denied"));
                    tried.push(format!(
                        "{} ({}): {}",
                        candidate.address,
                        candidate.source,
                        failure.causes.last().unwrap_or(&failure.message)
                    ));
                }
            }
        }
        let mut failure = Failure::unreachable("no Docker daemon answers");
        failure.causes = tried;
        Err(if denied {
            failure.hint("You may not use the socket: `sudo usermod -aG docker $USER`, then log in again.")
        } else if asked_for {
            failure.hint("Start that daemon, or choose another: DOCKER_HOST, or `docker context use NAME`.")
        } else {
            failure
                .hint("Start Docker: `sudo systemctl start docker`, or Docker Desktop.")
                .hint("Without Docker: `streamify dev up --runtime embedded`.")
        })
    }

    async fn try_one(candidate: &Candidate) -> Result<Self> {
        let what = || format!("can't use {}", candidate.address);
        let docker = match &candidate.address {
            Address::Socket(path) => {
                if let Err(error) = std::os::unix::net::UnixStream::connect(path) {
                    let why = match error.kind() {
                        ErrorKind::NotFound => "there is no such socket".to_owned(),
                        ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
                        ErrorKind::PermissionDenied => "permission denied".to_owned(),
                        _ => error.to_string(),
                    };
                    return Err(Failure::unreachable(what()).cause(why));
                }
                Docker::connect_with_unix(&path.to_string_lossy(), REQUEST_SECONDS, API_DEFAULT_VERSION)
            }
            Address::Tcp(host) => Docker::connect_with_http(host, REQUEST_SECONDS, API_DEFAULT_VERSION),
            Address::Tls { host, certificates } => Docker::connect_with_ssl(
                host,
                &certificates.join("key.pem"),
                &certificates.join("cert.pem"),
                &certificates.join("ca.pem"),
                REQUEST_SECONDS,
                API_DEFAULT_VERSION,
            ),
        };
        let docker = docker.map_err(|error| failure(what(), &error))?;
        let version = tokio::time::timeout(PATIENCE, docker.version())
            .await
            .map_err(|_| Failure::unreachable(what()).cause(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(|error| failure(what(), &error))?;
        let api = version.api_version.as_deref().and_then(ApiVersion::parse).ok_or_else(|| {
            Failure::unreachable(what()).cause("it does not say which version of the API it speaks".to_owned())
        })?;
        if api < ApiVersion::OLDEST {
            return Err(Failure::usage(format!("the Docker daemon at {} is too old", candidate.address))
                .cause(format!("it speaks API {api}; {} is needed (Docker 20.10)", ApiVersion::OLDEST))
                .hint("Update Docker, or go without it: `--runtime embedded`."));
        }
        Ok(Self {
            docker,
            api,
            version: version.version.unwrap_or_default(),
            address: candidate.address.to_string(),
            source: candidate.source.clone(),
            is_local: matches!(candidate.address, Address::Socket(_)),
        })
    }

    /// The client itself, for what has nothing to do with stacks.
    pub fn client(&self) -> &Docker {
        &self.docker
    }

    /// Whether the daemon's API is at least this new.
    pub fn has(&self, version: ApiVersion) -> bool {
        self.api >= version
    }
}

/// What a failed call to the daemon means, in words; `message` says what was being done.
pub(super) fn failure(message: impl Into<String>, error: &Error) -> Failure {
    let message = message.into();
    match error {
        Error::DockerResponseServerError { message: said, .. } => Failure::failed(message).cause(said.trim()),
        Error::DockerStreamError { error } => Failure::failed(message).cause(error.trim()),
        Error::HyperResponseError { .. }
        | Error::HyperLegacyError { .. }
        | Error::IOError { .. }
        | Error::RequestTimeoutError
        | Error::SocketNotFoundError(_) => Failure::unreachable(message)
            .because(error)
            .hint("The daemon went away or does not answer; `streamify dev doctor` looks at it."),
        other => Failure::failed(message).because(other),
    }
}

/// The status that the daemon answered with, where it answered.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Turns a daemon's error into a [`Failure`] that says what was being done.
pub(super) trait OrSay<T> {
    fn or_say(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T> OrSay<T> for std::result::Result<T, Error> {
    fn or_say(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| failure(message(), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_home_lists_what_was_tried() {
        let environment = Environment::from([("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
        let failure = Engine::connect(&environment).await.unwrap_err();
        assert_eq!(failure.kind.exit_code(), 4);
        assert_eq!(failure.causes, ["unix:///nowhere/docker.sock (DOCKER_HOST): there is no such socket"]);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(ApiVersion::parse("1.100").unwrap() > ApiVersion::parse("1.44").unwrap());
        assert_eq!(ApiVersion::parse("1"), None);
    }
}

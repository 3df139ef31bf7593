//! Which daemon to talk to: the order is that of Docker's own command line, then the sockets that are usual.
//!
//! `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the current context of `config.json`. Only where none of them says
//! anything are the usual sockets tried, Docker's before Podman's, the system's before the user's.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::settings::Environment;

/// An address at which a daemon may answer, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: Address,
    /// What named it, in words.
    pub(super) source: String,
}

/// How a daemon is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Socket(PathBuf),
    /// `host:port`
    Tcp(String),
    Tls {
        host: String,
        /// Holds `ca.pem`, `cert.pem` and `key.pem`.
        certificates: PathBuf,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(host) | Self::Tls { host, .. } => write!(formatter, "tcp://{host}"),
        }
    }
}

/// Docker's folder of configuration: contexts and credentials.
pub(super) fn configuration_folder(environment: &Environment) -> Option<PathBuf> {
    match environment.get("DOCKER_CONFIG") {
        Some(folder) => Some(folder.into()),
        None => Some(Path::new(environment.get("HOME")?).join(".docker")),
    }
}

/// The addresses to try, in order. One that somebody asked for is the only one.
///
/// # Errors
/// An address or a context that can't be used (exit code 2).
pub(super) fn candidates(environment: &Environment) -> Result<Vec<Candidate>> {
    if let Some(host) = environment.get("DOCKER_HOST") {
        let certificates = wants_tls(environment).then(|| certificates(environment)).flatten();
        return Ok(vec![Candidate { address: parse(host, certificates)?, source: "DOCKER_HOST".into() }]);
    }
    if let Some((context, source)) = context(environment)?
        && context != "default"
    {
        return Ok(vec![of_context(environment, &context, source)?]);
    }
    Ok(usual(environment))
}

fn wants_tls(environment: &Environment) -> bool {
    environment.get("DOCKER_TLS_VERIFY").is_some() || environment.get("DOCKER_TLS").is_some()
}

fn certificates(environment: &Environment) -> Option<PathBuf> {
    environment.get("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| configuration_folder(environment))
}

fn parse(host: &str, certificates: Option<PathBuf>) -> Result<Address> {
    let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
    match (scheme, certificates) {
        ("unix", _) => Ok(Address::Socket(rest.into())),
        ("tcp" | "http" | "https", None) if scheme != "https" => Ok(Address::Tcp(rest.trim_end_matches('/').into())),
        ("tcp" | "https", Some(certificates)) => {
            Ok(Address::Tls { host: rest.trim_end_matches('/').into(), certificates })
        }
        ("https", None) => Err(Failure::usage(format!("no certificates are known for the Docker address {host}"))
            .hint("Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem.")),
        ("ssh", _) => Err(Failure::usage(format!("a Docker daemon over SSH can't be used directly: {host}"))
            .hint("Forward its socket: ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST")
            .hint("Then set DOCKER_HOST=unix:///tmp/docker.sock.")),
        _ => Err(Failure::usage(format!("this is no Docker address: {host}"))
            .hint("An address is unix:///path/to/docker.sock or tcp://host:port.")),
    }
}

/// The part of `config.json` that is read here.
#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default, rename = "currentContext")]
    current_context: Option<String>,
}

fn context(environment: &Environment) -> Result<Option<(String, String)>> {
    if let Some(name) = environment.get("DOCKER_CONTEXT") {
        return Ok(Some((name.to_owned(), format!("DOCKER_CONTEXT, the context {name}"))));
    }
    let Some(path) = configuration_folder(environment).map(|folder| folder.join("config.json")) else {
        return Ok(None);
    };
    let Ok(text) = std::fs::read(&path) else { return Ok(None) };
    let configuration: Configuration = serde_json::from_slice(&text).map_err(|error| {
        // The file holds credentials, so its content is never quoted.
        Failure::usage(format!("{}:{}:{}: this is not valid JSON", path.display(), error.line(), error.column()))
    })?;
    let named = configuration.current_context.filter(|name| !name.is_empty());
    Ok(named.map(|name| (name.clone(), format!("the current context {name} of {}", path.display()))))
}

/// A context's description: `contexts/meta/SHA256-OF-NAME/meta.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

fn of_context(environment: &Environment, name: &str, source: String) -> Result<Candidate> {
    let folder = configuration_folder(environment)
        .ok_or_else(|| Failure::usage(format!("the Docker context {name} can't be found: HOME is not set")))?;
    let digest = Sha256::digest(name.as_bytes());
    let hash = digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let path = folder.join("contexts/meta").join(&hash).join("meta.json");
    let text = std::fs::read(&path).map_err(|error| {
        Failure::usage(format!("there is no Docker context {name}"))
            .cause(format!("it was named by {source}"))
            .cause(format!("can't read {}: {error}", path.display()))
            .hint("`docker context ls` lists them; `docker context use default` goes back to the default one.")
    })?;
    let context: Context = serde_json::from_slice(&text).map_err(|error| {
        Failure::usage(format!("{} is not a context's description", path.display())).because(&error)
    })?;
    let endpoint = context
        .endpoints
        .docker
        .ok_or_else(|| Failure::usage(format!("the context {name} has no Docker endpoint: {}", path.display())))?;
    let tls = folder.join("contexts/tls").join(&hash).join("docker");
    Ok(Candidate { address: parse(&endpoint.host, tls.is_dir().then_some(tls))?, source })
}

fn usual(environment: &Environment) -> Vec<Candidate> {
    let runtime = environment.get("XDG_RUNTIME_DIR").map(Path::new);
    let home = environment.get("HOME").map(Path::new);
    let sockets = [
        (Some(PathBuf::from("/var/run/docker.sock")), "Docker's usual socket"),
        (runtime.map(|folder| folder.join("docker.sock")), "rootless Docker's socket"),
        (home.map(|folder| folder.join(".docker/run/docker.sock")), "Docker Desktop's socket"),
        (home.map(|folder| folder.join(".colima/default/docker.sock")), "Colima's socket"),
        (runtime.map(|folder| folder.join("podman/podman.sock")), "rootless Podman's socket"),
        (Some(PathBuf::from("/run/podman/podman.sock")), "Podman's socket"),
    ];
    sockets
        .into_iter()
        .filter_map(|(path, source)| Some(Candidate { address: Address::Socket(path?), source: source.into() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn addresses(environment: &Environment) -> Vec<String> {
        candidates(environment).unwrap().iter().map(|candidate| candidate.address.to_string()).collect()
    }

    fn project(current: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), format!("{{\"currentContext\": \"{current}\"}}")).unwrap();
        folder
    }

    fn write_context(folder: &Path, name: &str, host: &str) {
        let hash = Sha256::digest(name.as_bytes()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let meta = folder.join("contexts/meta").join(hash);
        fs::create_dir_all(&meta).unwrap();
        let text = format!(
            "{{\"Name\":\"{name}\",\"Metadata\":{{}},\"Endpoints\":{{\"docker\":{{\"Host\":\"{host}\",\"SkipTLSVerify\":false}}}}}}"
        );
        fs::write(meta.join("meta.json"), text).unwrap();
    }

    #[test]
    fn the_host_goes_before_the_context_and_the_context_before_the_sockets() {
        let folder = project("remote");
        write_context(folder.path(), "remote", "tcp://10.0.0.1:2375");
        write_context(folder.path(), "other", "unix:///other.sock");
        let config = folder.path().to_str().unwrap();
        let with = |pairs: &[(&str, &str)]| {
            let mut all = vec![("DOCKER_CONFIG", config)];
            all.extend(pairs);
            match all.as_slice() {
                [a] => addresses(&Environment::from([*a])),
                [a, b] => addresses(&Environment::from([*a, *b])),
                more => addresses(&Environment::from([more[0], more[1], more[2]])),
            }
        };
        assert_eq!(with(&[("DOCKER_HOST", "unix:///a.sock"), ("DOCKER_CONTEXT", "other")]), ["unix:///a.sock"]);
        assert_eq!(with(&[("DOCKER_CONTEXT", "other")]), ["unix:///other.sock"]);
        assert_eq!(with(&[]), ["tcp://10.0.0.1:2375"]);
        let usual = with(&[("DOCKER_CONTEXT", "default"), ("XDG_RUNTIME_DIR", "/run/user/7")]);
        assert_eq!(usual[0], "unix:///var/run/docker.sock");
        assert!(usual.contains(&"unix:///run/user/7/podman/podman.sock".to_owned()), "{usual:?}");
    }

    #[test]
    fn what_can_not_be_used_says_what_to_do() {
        let failure = candidates(&Environment::from([("DOCKER_HOST", "ssh://box")])).unwrap_err();
        assert!(failure.hints[0].contains("ssh -NL"), "{failure:?}");
        let folder = project("gone");
        let config = folder.path().to_str().unwrap();
        let failure = candidates(&Environment::from([("DOCKER_CONFIG", config)])).unwrap_err();
        assert!(failure.message.contains("no Docker context gone"), "{failure:?}");
        assert_eq!(failure.kind.exit_code(), 2);
        let tls = [("DOCKER_HOST", "tcp://h:2376"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/c")];
        let found = candidates(&Environment::from(tls)).unwrap();
        assert_eq!(found[0].address, Address::Tls { host: "h:2376".into(), certificates: "/c".into() });
    }
}

//! Who one is at a registry.

use std::io::Cursor;
use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::failure::{Failure, OrFail, Result};
use crate::settings::{Environment, Secret};

/// A user's proof of who they are.
#[derive(Clone, Debug)]
pub enum Login {
    /// For basic authentication, and for asking a token.
    Password { user: String, password: Secret },
    /// An identity token, for asking a token.
    Identity(Secret),
}

/// Whoever knows logins.
pub trait Credentials: Send + Sync {
    /// The login for a registry, by its host; None where nothing is known.
    fn login<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Option<Login>>>;
}

/// Docker's `config.json` and its credential helpers.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    environment: Environment,
}

/// Docker Hub's key in `config.json`.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

impl DockerConfig {
    pub fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone() }
    }
}

impl Credentials for DockerConfig {
    fn login<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Option<Login>>> {
        async move {
            let home = || self.environment.get("HOME").map(|home| Path::new(home).join(".docker"));
            let folder = self.environment.get("DOCKER_CONFIG").map(Into::into).or_else(home);
            let Some(path) = folder.map(|folder: std::path::PathBuf| folder.join("config.json")) else {
                return Ok(None);
            };
            let Ok(text) = std::fs::read(&path) else { return Ok(None) };
            let registry = registry.to_owned();
            // A helper is a program that may take its time, or ask somebody.
            let found = tokio::task::spawn_blocking(move || look_up(&text, &registry, &path));
            found.await.or_fail(|| "looking for the registry's login ended early".into())?
        }
        .boxed()
    }
}

/// # Errors
/// A helper that fails, or a file that can't be understood. Neither the helper's output nor the file is quoted.
fn look_up(text: &[u8], registry: &str, path: &Path) -> Result<Option<Login>> {
    let keys = match registry {
        "docker.io" => vec![DOCKER_HUB.to_owned()],
        _ => vec![registry.to_owned(), format!("https://{registry}"), format!("http://{registry}")],
    };
    for key in keys {
        match get_credential_from_reader(Cursor::new(text), &key) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(Some(Login::Password { user, password: Secret::new(password) }));
            }
            Ok(DockerCredential::IdentityToken(token)) => return Ok(Some(Login::Identity(Secret::new(token)))),
            Err(
                CredentialRetrievalError::NoCredentialConfigured
                | CredentialRetrievalError::ConfigNotFound
                | CredentialRetrievalError::ConfigReadError,
            ) => {}
            // A helper that knows nothing of the registry says so as a failure.
            Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
                if [&stdout, &stderr].iter().any(|said| said.contains("credentials not found")) => {}
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
                return Err(Failure::failed(format!("the credential helper {helper} failed for {registry}"))
                    .hint(format!("Try it: echo {registry} | {helper} get"))
                    .hint(format!("Or log in again: docker login {registry}")));
            }
            Err(error) => {
                return Err(Failure::failed(format!("can't read the login for {registry}"))
                    .cause(format!("{error}; it was looked for in {}", path.display()))
                    .hint(format!("Log in again: docker login {registry}")));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn logins_come_from_docker_and_are_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        // base64 of `me:hunter2`
        let text = r#"{"auths": {"https://r.example.com": {"auth": "bWU6aHVudGVyMg=="}}}"#;
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let environment = Environment::from([("DOCKER_CONFIG", folder.path().to_str().unwrap())]);
        let docker = DockerConfig::new(&environment);
        let login = docker.login("r.example.com").await.unwrap().unwrap();
        assert!(!format!("{login:?}").contains("hunter2"));
        assert!(matches!(login, Login::Password { user, password } if user == "me" && password.expose() == "hunter2"));
        assert!(docker.login("other.example.com").await.unwrap().is_none());
    }
}

//! Who one is at a registry: `config.json` and its credential helpers.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use super::discovery::configuration_folder;
use crate::failure::{Failure, Result};
use crate::settings::Environment;

/// Docker Hub's key in `config.json`.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The registry of a reference: what stands before the first slash, where it looks like a host.
pub(super) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => DOCKER_HUB,
    }
}

/// What is known for the registry; None where nothing is.
///
/// # Errors
/// A helper that fails, or a file that can't be understood. Neither the helper's output nor the file is quoted.
pub(super) fn for_registry(environment: &Environment, registry: &str) -> Result<Option<DockerCredentials>> {
    let Some(path) = configuration_folder(environment).map(|folder| folder.join("config.json")) else {
        return Ok(None);
    };
    let Ok(text) = std::fs::read(&path) else { return Ok(None) };
    let found = match get_credential_from_reader(Cursor::new(&text), registry) {
        Err(CredentialRetrievalError::NoCredentialConfigured) if registry != DOCKER_HUB => {
            get_credential_from_reader(Cursor::new(&text), &format!("https://{registry}"))
        }
        other => other,
    };
    let server = Some(registry.to_owned());
    match found {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(Some(DockerCredentials {
            username: Some(name),
            password: Some(password),
            serveraddress: server,
            ..DockerCredentials::default()
        })),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(DockerCredentials {
            identitytoken: Some(token),
            serveraddress: server,
            ..DockerCredentials::default()
        })),
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError,
        ) => Ok(None),
        // A helper that knows nothing of the registry says so as a failure.
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if [&stdout, &stderr].iter().any(|said| said.contains("credentials not found")) =>
        {
            Ok(None)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(Failure::failed(format!("the credential helper {helper} failed for {registry}"))
                .hint(format!("Try it: echo {registry} | {helper} get"))
                .hint(format!("Or log in again: docker login {registry}")))
        }
        Err(error) => Err(Failure::failed(format!("can't read the credentials for {registry}"))
            .cause(format!("{error}; they were looked for in {}", path.display()))
            .hint(format!("Log in again: docker login {registry}"))),
    }
}

/// The value of `X-Registry-Auth`: JSON in URL-safe base64, as the engine's API asks for. The standard alphabet works
/// until a password brings a `+` or a `/` into it.
pub(super) fn header(credentials: &DockerCredentials) -> String {
    URL_SAFE.encode(serde_json::to_vec(credentials).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_told_from_folders_of_docker_hub() {
        for (reference, expected) in [
            ("postgres:16", DOCKER_HUB),
            ("team/app", DOCKER_HUB),
            ("localhost/app", "localhost"),
            ("127.0.0.1:5000/app:1", "127.0.0.1:5000"),
            ("ghcr.io/a/b@sha256:0", "ghcr.io"),
        ] {
            assert_eq!(registry(reference), expected, "{reference}");
        }
    }

    #[test]
    fn the_file_is_read_and_the_header_is_url_safe() {
        let folder = tempfile::tempdir().unwrap();
        // base64 of `me:p?>~`
        std::fs::write(folder.path().join("config.json"), r#"{"auths": {"r.example.com": {"auth": "bWU6cD8+fg=="}}}"#)
            .unwrap();
        let environment = Environment::from([("DOCKER_CONFIG", folder.path().to_str().unwrap())]);
        let found = for_registry(&environment, "r.example.com").unwrap().unwrap();
        assert_eq!(found.password.as_deref(), Some("p?>~"));
        let header = header(&found);
        assert!(!header.contains(['+', '/']), "{header}");
        assert!(for_registry(&environment, "other.example.com").unwrap().is_none());
    }
}

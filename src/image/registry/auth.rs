//! From a refused request to the header that is let through: basic authentication, and bearer tokens as the
//! distribution project specifies them (<https://distribution.github.io/distribution/spec/auth/token/>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::credentials::Login;
use super::{CALL, Scope, describe, is_loopback};
use crate::failure::{Failure, Result};
use crate::settings::Secret;

/// What a registry asks for, from `WWW-Authenticate` (RFC 9110, section 11.6.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The first challenge of the header that can be met.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        let mut rest = rest;
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match name.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                "scope" => scope = Some(value.to_owned()),
                _ => {}
            }
            rest = after;
        }
        Some(Self::Bearer { realm: realm?, service, scope })
    }
}

/// The answer of a token server.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The value of `Authorization` for a challenge.
///
/// # Errors
/// There is no login and one is needed; the login is refused; the token server can't be reached.
pub(super) async fn answer(
    http: &Client,
    registry: &str,
    is_secure: bool,
    challenge: &Challenge,
    scope: &Scope,
    login: Option<Login>,
) -> Result<Secret> {
    let Challenge::Bearer { realm, service, scope: asked } = challenge else {
        return match login {
            Some(Login::Password { user, password }) => Ok(basic(&user, &password)),
            _ => Err(nobody(registry)),
        };
    };
    let what = || format!("can't get a token for {registry}");
    let mut url = Url::parse(realm)
        .map_err(|_| Failure::failed(what()).cause(format!("it names a token server that is no address: {realm}")))?;
    let is_plain = url.scheme() == "http" && !url.host_str().is_some_and(is_loopback);
    if is_plain && is_secure {
        return Err(Failure::failed(what())
            .cause(format!("it sends to {realm}, where a password would cross the network in the clear")));
    }
    let wanted = if scope.repository.is_empty() { asked.iter().cloned().collect() } else { scope.texts() };
    let request = match &login {
        Some(Login::Identity(token)) => {
            // An address's query is written as a form is.
            let mut form = url.clone();
            form.query_pairs_mut()
                .clear()
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "streamify")
                .append_pair("refresh_token", token.expose())
                .append_pair("scope", &wanted.join(" "))
                .append_pair("service", service.as_deref().unwrap_or_default());
            http.post(url)
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned())
        }
        _ => {
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", service);
            }
            for scope in &wanted {
                url.query_pairs_mut().append_pair("scope", scope);
            }
            let request = http.get(url);
            match &login {
                Some(Login::Password { user, password }) => {
                    request.header(reqwest::header::AUTHORIZATION, sensitive(&basic(user, password))?)
                }
                _ => request,
            }
        }
    };
    let response = request.timeout(CALL).send().await.map_err(|error| {
        Failure::unreachable(what()).because(&error.without_url()).cause(format!("its token server is {realm}"))
    })?;
    match response.status() {
        status if status.is_success() => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
            return Err(match login {
                Some(_) => refused(registry).cause(describe(response).await),
                None => nobody(registry).cause(describe(response).await),
            });
        }
        _ => return Err(Failure::failed(what()).cause(describe(response).await)),
    }
    let token: Token = response.json().await.map_err(|error| Failure::failed(what()).because(&error.without_url()))?;
    let token = token.token.or(token.access_token);
    let token = token.ok_or_else(|| Failure::failed(what()).cause("the token server's answer has no token in it"))?;
    Ok(Secret::new(format!("Bearer {token}")))
}

fn basic(user: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose()))))
}

/// A header that libraries don't write into their logs.
pub(super) fn sensitive(value: &Secret) -> Result<reqwest::header::HeaderValue> {
    let mut header = reqwest::header::HeaderValue::from_str(value.expose()).map_err(|_| {
        Failure::failed("the registry's token can't be sent: it has characters that no header may have")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

pub(super) fn nobody(registry: &str) -> Failure {
    Failure::failed(format!("the registry {registry} wants a login, and there is none"))
        .hint(format!("Log in: docker login {registry}"))
        .hint("Without Docker, write `auths` into ~/.docker/config.json, or name a credential helper there.")
}

pub(super) fn refused(registry: &str) -> Failure {
    Failure::failed(format!("the registry {registry} refuses the login"))
        .hint(format!("The password or token may be wrong or out of date: docker login {registry}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        let header =
            r#"Bearer realm="https://auth.example.com/token",service="r.example.com",scope="repository:a/b:pull,push""#;
        assert_eq!(
            Challenge::parse(header),
            Some(Challenge::Bearer {
                realm: "https://auth.example.com/token".into(),
                service: Some("r.example.com".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=\"x\""), None);
    }
}

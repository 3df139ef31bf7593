//! Access tokens: JWT, HS256 only, with issuer, audience, expiry and a key id that names one of the configured keys.

use std::collections::HashMap;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::config::JwtConfig;

/// Clocks of servers that talk to each other may differ by so many seconds.
const LEEWAY_SECONDS: u64 = 5;

/// What a token says (RFC 7519).
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Claims {
    sub: Uuid,
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
}

/// Who a valid token speaks for, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) user: Uuid,
    pub(crate) expires_at: OffsetDateTime,
}

/// Makes and checks access tokens.
pub(crate) struct Tokens {
    header: Header,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
    config: JwtConfig,
}

impl Tokens {
    /// None if there is no key.
    pub(crate) fn new(config: &JwtConfig) -> Option<Self> {
        let first = config.keys.first()?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = LEEWAY_SECONDS;
        let verifying = config
            .keys
            .iter()
            .map(|key| (key.id.clone(), DecodingKey::from_secret(key.secret.expose().as_bytes())))
            .collect();
        Some(Self {
            header: Header { kid: Some(first.id.clone()), ..Header::new(Algorithm::HS256) },
            signing: EncodingKey::from_secret(first.secret.expose().as_bytes()),
            verifying,
            validation,
            config: config.clone(),
        })
    }

    /// A token for a user, good for the configured time from now.
    ///
    /// # Errors
    /// Claims that can't be written as JSON.
    pub(crate) fn issue(&self, user: Uuid) -> Result<String, jsonwebtoken::errors::Error> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = Claims {
            sub: user,
            iss: self.config.issuer.clone(),
            aud: self.config.audience.clone(),
            exp: now.saturating_add_unsigned(self.config.access_token.as_secs()),
            iat: now,
        };
        encode(&self.header, &claims, &self.signing)
    }

    /// Who a token speaks for; None if it is not one of ours that is good now.
    pub(crate) fn verify(&self, token: &str) -> Option<Identity> {
        let key = self.verifying.get(&decode_header(token).ok()?.kid?)?;
        let claims = decode::<Claims>(token, key, &self.validation).ok()?.claims;
        let expires_at = OffsetDateTime::from_unix_timestamp(claims.exp).ok()?;
        Some(Identity { user: claims.sub, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Secret;
    use crate::config::JwtKey;

    fn config(keys: &[(&str, char)]) -> JwtConfig {
        let key =
            |(id, fill): &(&str, char)| JwtKey { id: (*id).into(), secret: Secret::new(fill.to_string().repeat(32)) };
        JwtConfig {
            keys: keys.iter().map(key).collect(),
            issuer: "streamify".into(),
            audience: "streamify-api".into(),
            access_token: Duration::from_secs(900),
            refresh_token: Duration::from_secs(86_400),
        }
    }

    fn tokens(keys: &[(&str, char)]) -> Tokens {
        Tokens::new(&config(keys)).unwrap()
    }

    /// A token made by whoever, with whatever header, claims and key.
    fn forged(header: &Header, change: impl Fn(&mut serde_json::Value), fill: char) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let mut claims = serde_json::json!({
            "sub": Uuid::nil(), "iss": "streamify", "aud": "streamify-api", "exp": now + 60, "iat": now,
        });
        change(&mut claims);
        encode(header, &claims, &EncodingKey::from_secret(fill.to_string().repeat(32).as_bytes())).unwrap()
    }

    fn header(algorithm: Algorithm, kid: &str) -> Header {
        Header { kid: Some(kid.into()), ..Header::new(algorithm) }
    }

    #[test]
    fn a_token_names_its_user() {
        let user = Uuid::now_v7();
        let tokens = tokens(&[("a", 'a')]);
        assert_eq!(tokens.verify(&tokens.issue(user).unwrap()).unwrap().user, user);
    }

    #[test]
    fn two_keys_are_accepted_while_one_replaces_the_other() {
        let (old, both, new) = (tokens(&[("a", 'a')]), tokens(&[("b", 'b'), ("a", 'a')]), tokens(&[("b", 'b')]));
        let (from_old, from_both) = (old.issue(Uuid::nil()).unwrap(), both.issue(Uuid::nil()).unwrap());
        assert!(both.verify(&from_old).is_some() && both.verify(&from_both).is_some());
        assert!(new.verify(&from_both).is_some() && new.verify(&from_old).is_none());
    }

    #[test]
    fn forgeries_are_refused() {
        let tokens = tokens(&[("a", 'a')]);
        let good = header(Algorithm::HS256, "a");
        let unchanged = |_: &mut serde_json::Value| {};
        assert!(tokens.verify(&forged(&good, unchanged, 'a')).is_some(), "the forger's tool itself works");
        let refused = [
            ("another key", forged(&good, unchanged, 'x')),
            ("another algorithm", forged(&header(Algorithm::HS512, "a"), unchanged, 'a')),
            ("an unknown key id", forged(&header(Algorithm::HS256, "z"), unchanged, 'a')),
            ("no key id", forged(&Header::new(Algorithm::HS256), unchanged, 'a')),
            ("another issuer", forged(&good, |claims| claims["iss"] = "x".into(), 'a')),
            ("another audience", forged(&good, |claims| claims["aud"] = "x".into(), 'a')),
            ("expired", forged(&good, |claims| claims["exp"] = 1.into(), 'a')),
            ("no expiry", forged(&good, |claims| drop(claims.as_object_mut().unwrap().remove("exp")), 'a')),
            ("not a token", "a.b.c".into()),
        ];
        for (what, token) in refused {
            assert!(tokens.verify(&token).is_none(), "{what}");
        }
    }
}

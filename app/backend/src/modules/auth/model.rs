use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::problem::{FieldError, Problem};

/// Who wants to join.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// Unique; upper and lower case are the same.
    #[schema(example = "ada@example.com", max_length = 254, format = "email")]
    pub(crate) email: String,
    /// 8 to 200 characters.
    #[schema(example = "correct horse battery", min_length = 8, max_length = 200)]
    pub(crate) password: String,
    /// Shown to others.
    #[schema(example = "Ada", min_length = 1, max_length = 100, pattern = r"\S")]
    pub(crate) name: String,
}

/// Who wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(example = "ada@example.com", max_length = 254, format = "email")]
    pub(crate) email: String,
    #[schema(example = "correct horse battery", max_length = 200)]
    pub(crate) password: String,
}

/// A refresh token, used once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    pub(crate) refresh_token: String,
}

/// What a login gives.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenPair {
    /// Goes into `Authorization: Bearer …`.
    pub(crate) access_token: String,
    /// Good for one `refresh`, which gives the next one.
    pub(crate) refresh_token: String,
    #[schema(example = "Bearer")]
    pub(crate) token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(example = 900)]
    pub(crate) expires_in: u64,
}

/// The longest address that SMTP can carry (RFC 5321).
const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 100;
pub(super) const SHORTEST_PASSWORD: usize = 8;
/// Longer ones would only cost time to hash.
pub(super) const LONGEST_PASSWORD: usize = 200;

impl Registration {
    /// The same, in the form that is kept.
    pub(super) fn checked(self) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        let email = normal_email(&self.email);
        if !is_email(&email) {
            errors.push(FieldError::new("email", "invalid", "is not an email address"));
        }
        let name = self.name.trim().to_owned();
        match name.chars().count() {
            0 => errors.push(FieldError::new("name", "required", "is empty")),
            1..=LONGEST_NAME => {}
            _ => errors.push(FieldError::new("name", "too_long", format!("has more than {LONGEST_NAME} characters"))),
        }
        if name.chars().any(char::is_control) {
            errors.push(FieldError::new("name", "invalid", "has control characters"));
        }
        match self.password.chars().count() {
            0..SHORTEST_PASSWORD => {
                let said = format!("has fewer than {SHORTEST_PASSWORD} characters");
                errors.push(FieldError::new("password", "too_short", said));
            }
            SHORTEST_PASSWORD..=LONGEST_PASSWORD => {}
            _ => {
                let said = format!("has more than {LONGEST_PASSWORD} characters");
                errors.push(FieldError::new("password", "too_long", said));
            }
        }
        if errors.is_empty() { Ok(Self { email, name, password: self.password }) } else { Err(Problem::fields(errors)) }
    }
}

/// The form in which addresses are kept and compared.
pub(super) fn normal_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Whether mail could go there. Only sending one would tell; this finds slips.
pub(super) fn is_email(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    email.len() <= LONGEST_EMAIL
        && !local.is_empty()
        && local.len() <= 64
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_in_addresses_are_found() {
        assert!(["a@b.c", "ada.l+x@mail.example.com", "ünï@exämple.de"].iter().all(|email| is_email(email)));
        let wrong = ["", "a", "@b.c", "a@", "a@b", "a@b..c", "a b@c.d", "a@-b.c", &format!("{}@b.c", "x".repeat(255))];
        assert!(wrong.iter().all(|email| !is_email(email)));
    }
}

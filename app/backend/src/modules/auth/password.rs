//! Passwords: argon2id, off the async threads, and only as many at once as there are cores.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::http::problem::Problem;

/// OWASP's first choice of parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of a password that nobody has: checking against it takes as long as against a real one.
    nobody: String,
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, LANES, None)?))
}

fn hash(password: &str) -> Result<String, String> {
    let argon2 = argon2().map_err(|error| error.to_string())?;
    argon2.hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

fn is_right(password: &str, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), &parsed).is_ok())
}

impl Passwords {
    /// Hashes one password, so that login of nobody takes as long as of somebody.
    ///
    /// # Errors
    /// Parameters that the library refuses.
    pub(crate) fn new() -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self { turns: Arc::new(Semaphore::new(cores)), nobody: hash(&uuid::Uuid::new_v4().to_string())? })
    }

    /// The hash to keep of a new password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        self.on_a_thread(move || hash(&password)).await?.map_err(|error| Problem::internal(&error))
    }

    /// Whether the password is the one of `kept`; without a `kept` it takes as long, and is not.
    pub(crate) async fn is_right(&self, password: String, kept: Option<String>) -> Result<bool, Problem> {
        let somebody = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.nobody.clone());
        let right = self.on_a_thread(move || is_right(&password, &kept)).await?;
        Ok(right && somebody)
    }

    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|error| Problem::internal(&error))?;
        let work = move || {
            // Until the thread is free again, which may be after the request has been given up.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_and_knows_its_password() {
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(is_right("correct horse", &kept) && !is_right("battery staple", &kept));
        assert!(!is_right("correct horse", "nonsense"));
    }
}

//! The keys that sign tokens: `id:secret` pairs separated by commas, of which the first signs and all verify.
//!
//! A key is rotated without logging anybody out: the new one comes first, the old ones stay until the last token that
//! they signed has expired. Where not even a request may be refused while old and new tasks run side by side, the new
//! key is announced before: it comes last, every task learns it, and only then it signs.

use jiff::{Timestamp, Unit};
use streamify_backend::JwtKey;

use super::random;
use crate::failure::{Failure, Result};
use crate::settings::Secret;

/// A list of keys, the one that signs first.
#[derive(Debug)]
pub struct Keys(Vec<JwtKey>);

/// Keys after a change.
#[derive(Debug)]
pub struct Rotated {
    pub keys: Secret,
    /// The id of the key that signs.
    pub signs: String,
    /// Ids of the others.
    pub verify: Vec<String>,
    /// Ids of those that are gone.
    pub dropped: Vec<String>,
}

/// What stands before the time in the ids of keys that were made here.
const PREFIX: &str = "key-";
/// Random bytes of a key: as many as its hash has.
const BYTES: usize = 32;

impl Keys {
    /// Reads a list; an empty one is what is there before the first key.
    ///
    /// # Errors
    /// What is wrong with which key, without showing it.
    pub fn parse(name: &str, value: Option<&Secret>) -> Result<Self> {
        let Some(value) = value else { return Ok(Self(Vec::new())) };
        JwtKey::parse_list(value).map(Self).map_err(|why| {
            Failure::failed(format!("{name} does not hold keys that sign tokens"))
                .cause(why)
                .hint("Only such keys are rotated here; for another secret: streamify secrets set ENV NAME --random")
        })
    }

    /// The id of the key that was announced and does not sign yet.
    fn announced(&self) -> Option<&str> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        let made = made_at(&last.id)?;
        (made_at(&first.id).is_none_or(|signing| signing < made)).then_some(last.id.as_str())
    }

    /// A new key signs from now on, or the one that was announced; the others still verify.
    pub fn rotate(mut self, now: Timestamp) -> Result<Rotated> {
        if self.announced().is_some() {
            self.0.rotate_right(1);
        } else {
            self.0.insert(0, self.fresh(now)?);
        }
        Ok(self.rotated(Vec::new()))
    }

    /// A new key verifies from now on; the one that signs stays.
    ///
    /// # Errors
    /// One is announced already.
    pub fn announce(mut self, now: Timestamp) -> Result<Rotated> {
        if let Some(id) = self.announced() {
            return Err(Failure::failed(format!("the key {id} is announced already"))
                .hint("Deploy, so that every task knows it, and let it sign: rotate without --announce."));
        }
        let fresh = self.fresh(now)?;
        self.0.push(fresh);
        Ok(self.rotated(Vec::new()))
    }

    /// Only the key that signs is left.
    ///
    /// # Errors
    /// One is announced: it would be dropped too.
    pub fn drop_old(mut self) -> Result<Rotated> {
        if let Some(id) = self.announced() {
            return Err(Failure::failed(format!("the key {id} is announced and does not sign yet"))
                .hint("Let it sign first: rotate without --drop-old."));
        }
        let dropped = self.0.split_off(1.min(self.0.len())).into_iter().map(|key| key.id).collect();
        Ok(self.rotated(dropped))
    }

    /// Whether there is one that only verifies.
    pub fn has_old(&self) -> bool {
        self.0.len() > 1
    }

    fn fresh(&self, now: Timestamp) -> Result<JwtKey> {
        let mut at = now;
        // Two rotations within a second: ids are what tokens name their key by.
        while self.0.iter().any(|key| key.id == id(at)) {
            at = at.checked_add(jiff::Span::new().seconds(1)).unwrap_or(at);
        }
        Ok(JwtKey { id: id(at), secret: random(BYTES)? })
    }

    fn rotated(self, dropped: Vec<String>) -> Rotated {
        let pairs = self.0.iter().map(|key| format!("{}:{}", key.id, key.secret.expose()));
        let keys = Secret::new(pairs.collect::<Vec<_>>().join(","));
        let mut ids = self.0.into_iter().map(|key| key.id);
        Rotated { keys, signs: ids.next().unwrap_or_default(), verify: ids.collect(), dropped }
    }
}

/// `key-20261124T133000Z`: keys made later sort later, and a person sees how old one is.
fn id(at: Timestamp) -> String {
    let second = at.round(Unit::Second).unwrap_or(at);
    format!("{PREFIX}{}", second.to_string().replace(['-', ':'], ""))
}

/// When a key was made, by its id.
fn made_at(id: &str) -> Option<&str> {
    let time = id.strip_prefix(PREFIX)?;
    (time.len() == 16 && time.ends_with('Z') && time.as_bytes()[8] == b'T').then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &Secret) -> Keys {
        Keys::parse("JWT_KEYS", Some(text)).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-24T13:30:00.4Z".parse().unwrap()
    }

    #[test]
    fn the_new_key_signs_and_the_old_one_still_verifies() {
        let old = Secret::new(format!("dev:{}", "x".repeat(32)));
        let rotated = parse(&old).rotate(now()).unwrap();
        assert_eq!((rotated.signs.as_str(), rotated.verify), ("key-20261124T133000Z", vec!["dev".to_owned()]));
        assert!(rotated.keys.expose().ends_with(&format!(",{}", old.expose())));

        let again = parse(&rotated.keys).rotate(now()).unwrap();
        assert_eq!(again.signs, "key-20261124T133001Z");
        let dropped = parse(&again.keys).drop_old().unwrap();
        assert_eq!(dropped.dropped, ["key-20261124T133000Z", "dev"]);
        assert_eq!(JwtKey::parse_list(&dropped.keys).unwrap().len(), 1);
        let first = Keys::parse("JWT_KEYS", None).unwrap().rotate(now()).unwrap();
        assert_eq!(JwtKey::parse_list(&first.keys).unwrap().len(), 1);
    }

    #[test]
    fn an_announced_key_signs_at_the_next_rotation() {
        let old = Secret::new(format!("dev:{}", "x".repeat(32)));
        let announced = parse(&old).announce(now()).unwrap();
        assert_eq!((announced.signs.as_str(), announced.verify.len()), ("dev", 1));
        assert!(parse(&announced.keys).announce(now()).is_err());
        assert!(parse(&announced.keys).drop_old().is_err());
        let signing = parse(&announced.keys).rotate(now()).unwrap();
        assert_eq!((signing.signs.as_str(), signing.verify), ("key-20261124T133000Z", vec!["dev".to_owned()]));
        // What signs now is not taken for announced.
        assert!(parse(&signing.keys).announced().is_none());
    }

    #[test]
    fn what_holds_no_keys_is_not_rotated_nor_shown() {
        let failure = Keys::parse("DATABASE_URL", Some(&Secret::new("postgres://u:hunter2@h/d"))).unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }
}

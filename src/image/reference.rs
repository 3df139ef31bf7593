use std::fmt;

use super::digest::Digest;
use crate::failure::{Failure, Result};

/// Docker Hub, as it stands in references.
const DOCKER_HUB: &str = "docker.io";

/// The name of an image: `registry/repository`, with a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

impl Reference {
    /// Takes a name as people write it: without a registry it is Docker Hub's.
    ///
    /// # Errors
    /// Characters that no registry allows (distribution specification 1.1, "Pulling manifests").
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Failure::usage(format!("`{text}` is not the name of an image"))
                .cause(why)
                .hint("It is such as registry.example.com/team/app:1.2 or team/app@sha256:…")
        };
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (rest, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            Some(_) => (DOCKER_HUB, name.to_owned()),
            None => (DOCKER_HUB, format!("library/{name}")),
        };
        if !is_repository(&repository) {
            return Err(wrong(
                "a repository has lower-case letters, digits, `.`, `_` and `-`, in parts between slashes",
            ));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("a tag has letters, digits, `.`, `_` and `-`, at most 128 of them"));
        }
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }

    /// Without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The last part of a manifest's address.
    pub(super) fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether a registry takes it as a tag.
pub(super) fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

/// Whether a registry takes it as a repository.
pub(super) fn is_repository(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(is_alphanumeric)
            && part.bytes().last().is_some_and(is_alphanumeric)
            && part.bytes().all(|byte| is_alphanumeric(byte) || b"._-".contains(&byte))
    };
    text.len() <= 255 && text.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("debian", "docker.io/library/debian"),
            ("team/app:1.2", "docker.io/team/app:1.2"),
            ("localhost:5000/app", "localhost:5000/app"),
            ("localhost/app:x", "localhost/app:x"),
            ("r.example.com:443/a/b-c/d_e:T", "r.example.com:443/a/b-c/d_e:T"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), expected, "{text}");
        }
        let digest = Digest::of(b"");
        let both = Reference::parse(&format!("a.b/c:1@{digest}")).unwrap();
        assert_eq!((both.tag.as_deref(), both.digest.as_ref()), (Some("1"), Some(&digest)));
        for text in ["", "App", "a//b", "a:", "a:-x", "a@sha256:1", "a.b/", "-a"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}

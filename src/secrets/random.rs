use std::fmt::Write as _;
use std::io::Read as _;

use crate::failure::{OrFail, Result};
use crate::settings::Secret;

/// A value of so many random bytes, in hexadecimal: it stands in a URL and in an environment file as it is.
pub fn random(bytes: usize) -> Result<Secret> {
    let mut taken = vec![0; bytes];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut taken))
        .or_fail(|| "can't read random bytes".into())?;
    Ok(Secret::new(taken.iter().fold(String::with_capacity(bytes * 2), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })))
}

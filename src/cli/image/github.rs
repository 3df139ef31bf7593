//! What a step of a GitHub workflow leaves for the next one, and for whoever looks at the run.

use std::fs::OpenOptions;
use std::io::Write;

use super::super::Context;
use crate::failure::{OrFail, Result};
use crate::image::{Pushed, spoken};

/// Writes outputs and a summary, where the files for them are named.
///
/// # Errors
/// They can't be written.
pub(super) fn tell(context: &Context, all: &[Pushed]) -> Result<()> {
    append(context, "GITHUB_OUTPUT", || outputs(all))?;
    append(context, "GITHUB_STEP_SUMMARY", || summary(all))
}

fn append(context: &Context, variable: &str, text: impl FnOnce() -> String) -> Result<()> {
    let Some(path) = context.environment.get(variable) else { return Ok(()) };
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text().as_bytes()))
        .or_fail(|| format!("can't write {path}, which {variable} names"))
}

/// `image` and `digest` of the first one; of several also `NAME_image` and `NAME_digest` for each.
fn outputs(all: &[Pushed]) -> String {
    let mut text = String::new();
    if let Some(first) = all.first() {
        text = format!("image={}\ndigest={}\n", first.image, first.digest);
    }
    if all.len() > 1 {
        for one in all {
            text = format!("{text}{0}_image={1}\n{0}_digest={2}\n", one.name, one.image, one.digest);
        }
    }
    text
}

fn summary(all: &[Pushed]) -> String {
    let mut text = String::from("### Images\n\n| image | result | tags | sent | digest |\n|---|---|---|---|---|\n");
    for one in all {
        let result = if one.unchanged { "unchanged" } else { "pushed" };
        let tags = one.tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(" ");
        let sent = spoken(one.blobs.bytes_sent);
        text = format!("{text}| {} | {result} | {tags} | {sent} | `{}` |\n", one.name, one.digest);
    }
    text.push('\n');
    text
}

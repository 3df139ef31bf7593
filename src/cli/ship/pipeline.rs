//! What a pipeline is told: who runs it, `$GITHUB_OUTPUT` and `$GITHUB_STEP_SUMMARY`.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write;

use crate::deploy::{Owner, Story};
use crate::failure::{OrFail, Result};
use crate::settings::Environment;

/// Who deploys, from the pipeline's variables or the user's.
pub(super) fn owner(variables: &Environment) -> Owner {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let names = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME"];
    let name = names.iter().find_map(|name| variables.get(name)).unwrap_or("somebody");
    let run = |server: &str, repository: &str, id: &str| format!("{server}/{repository}/actions/runs/{id}");
    let github = match ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"].map(|name| variables.get(name)) {
        [Some(server), Some(repository), Some(id)] => Some(run(server, repository, id)),
        _ => None,
    };
    let url =
        github.or_else(|| ["CI_JOB_URL", "BUILD_URL"].iter().find_map(|name| variables.get(name)).map(str::to_owned));
    Owner { who: format!("{name}@{host}"), url }
}

/// Writes the story where GitHub looks for it; elsewhere nothing.
pub(super) fn tell(story: &Story, variables: &Environment) -> Result<()> {
    if let Some(file) = variables.get("GITHUB_STEP_SUMMARY") {
        append(file, &story.markdown())?;
    }
    if let Some(file) = variables.get("GITHUB_OUTPUT") {
        append(file, &outputs(story))?;
    }
    Ok(())
}

/// The outputs of a step; no value has more than one line.
fn outputs(story: &Story) -> String {
    let mut text = format!("environment={}\nchanged={}\n", story.environment, story.has_changed());
    let ending = match (&story.record, &story.failure) {
        (Some(record), _) => record.ending.words().replace(' ', "_"),
        (None, None) => "nothing_to_do".to_owned(),
        (None, Some(_)) => "failed".to_owned(),
    };
    let _ = writeln!(text, "result={ending}");
    if let Some(record) = &story.record {
        let _ = writeln!(text, "deploy={}", record.number);
        for (service, one) in &record.services {
            let _ = writeln!(text, "task_definition_{}={}", service.replace('-', "_"), one.task_definition);
        }
    }
    text
}

fn append(file: &str, text: &str) -> Result<()> {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).or_fail(|| format!("can't write {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_deploys_is_whom_the_pipeline_names() {
        let variables = Environment::from([
            ("GITHUB_ACTOR", "anna"),
            ("USER", "runner"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "team/app"),
            ("GITHUB_RUN_ID", "7"),
        ]);
        let owner = owner(&variables);
        assert!(owner.who.starts_with("anna@"), "{owner:?}");
        assert_eq!(owner.url.as_deref(), Some("https://github.com/team/app/actions/runs/7"));
    }
}

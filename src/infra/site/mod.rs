//! An environment's root, with everything that is done to it.

mod apply;
mod making;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::diagnostics::{self, Diagnostic};
use super::plan::Shown;
use super::render::{self, BACKEND_FILE, Rendered, VARIABLES_FILE};
use super::run::{Ended, Runner, private_folder};
use super::saved::{self, Basis, Purpose};
use super::variables::{Given, Root, Secrecy, Source, check};
use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;
use crate::settings::{EnvironmentSettings, Settings};
use crate::terraform::Terraform;

pub use apply::Applied;
pub use making::{Making, Planned};

/// What is worked on.
pub struct Site<'a> {
    pub settings: &'a Settings,
    pub environment: &'a EnvironmentSettings,
    pub terraform: Terraform,
    pub report: &'a dyn Report,
    pub interrupt: &'a CancellationToken,
    /// Progress is redrawn in front of a person.
    pub is_live: bool,
    /// How long to wait for a lock that somebody else holds.
    pub patience: Option<Duration>,
    /// Absolute.
    root: PathBuf,
    /// Private to this environment.
    folder: PathBuf,
}

/// What `terraform validate` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Validation {
    pub valid: bool,
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Site<'a> {
    /// The site of an environment.
    ///
    /// # Errors
    /// There is no folder of its root, or no Terraform.
    pub fn new(
        settings: &'a Settings,
        environment: &'a EnvironmentSettings,
        program: Option<&Path>,
        report: &'a dyn Report,
        interrupt: &'a CancellationToken,
    ) -> Result<Self> {
        check_root(settings, environment)?;
        Ok(Self {
            terraform: Terraform::find(settings, environment, program)?,
            root: settings.directory.join(&environment.terraform),
            folder: settings.dev.data.join("infra").join(&environment.name),
            settings,
            environment,
            report,
            interrupt,
            is_live: false,
            patience: None,
        })
    }

    /// The root's folder as messages name it.
    pub fn shown(&self) -> String {
        self.environment.terraform.display().to_string()
    }

    /// The environment's own folder for plans.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn name(&self) -> &str {
        &self.environment.name
    }

    fn runner(&self) -> Runner<'_> {
        Runner { terraform: &self.terraform, root: &self.root, folder: &self.folder, interrupt: self.interrupt }
    }

    /// The flag that lets a command wait for the lock.
    fn lock_timeout(&self) -> Option<String> {
        self.patience.map(|patience| format!("-lock-timeout={}s", patience.as_secs()))
    }

    /// Initialises the root, unless that was done for just this configuration.
    ///
    /// # Errors
    /// Terraform's own, whole.
    pub async fn initialise(&self, with_backend: bool) -> Result<()> {
        private_folder(&self.folder)?;
        let stamp = self.stamp()?;
        let note = self.folder.join("initialised");
        let data = self
            .settings
            .environment
            .get("TF_DATA_DIR")
            .map_or_else(|| self.root.join(".terraform"), |data| self.root.join(data));
        // A root without providers and modules has no such folder.
        let done = |stamp: &str| if data.is_dir() { format!("{stamp} with data") } else { stamp.to_owned() };
        if std::fs::read_to_string(&note).is_ok_and(|noted| noted == done(&stamp)) {
            return Ok(());
        }
        let mut arguments = vec!["init".to_owned(), "-input=false".to_owned(), "-no-color".to_owned()];
        if !with_backend {
            arguments.push("-backend=false".to_owned());
        } else if self.environment.state.is_some() {
            arguments.push(format!("-backend-config={BACKEND_FILE}"));
        }
        if with_backend {
            arguments.extend(self.lock_timeout());
        }
        let started = Instant::now();
        self.report.started("init", "providers and modules");
        let (ended, _) = self.runner().text(&arguments).await?;
        if ended.is_interrupted {
            return Err(Failure::interrupted(2));
        }
        if !ended.status.success() {
            self.report.failed("init", "Terraform could not initialise the root");
            let failure = diagnostics::failure_of_text("init", self.name(), &ended.err);
            if ended.err.contains("Backend configuration changed") {
                return Err(failure.hint(format!(
                    "To take the state along: {} -chdir={} init -migrate-state -backend-config={BACKEND_FILE}",
                    self.terraform.name(),
                    self.shown()
                )));
            }
            if self.environment.state.is_none() && ended.err.contains("\"bucket\" is required by the backend") {
                return Err(failure.hint(format!(
                    "streamify.yaml does not say where the state is: environments.{}.state: {{ bucket: NAME }}. \
                     terraform/bootstrap makes such a bucket, once for an account.",
                    self.name()
                )));
            }
            return Err(failure);
        }
        self.report.finished("init", "ready", started.elapsed());
        if with_backend {
            // Modules that init has just fetched are part of what it stands for.
            render::write_whole(&note, done(&self.stamp()?).as_bytes(), 0o600)?;
        }
        Ok(())
    }

    /// What an initialisation depends on.
    fn stamp(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(self.terraform.program.as_os_str().as_encoded_bytes());
        hash.update(saved::inputs(&self.root, &self.settings.environment)?);
        Ok(saved::hexadecimal(&hash.finalize()))
    }

    /// The state as text; empty where there is none. It holds secrets in clear and is never shown or kept.
    async fn pull(&self) -> Result<String> {
        let (ended, text) = self.runner().text(&["state", "pull"].map(str::to_owned)).await?;
        self.succeeded("state", &ended)?;
        Ok(text)
    }

    fn succeeded(&self, doing: &str, ended: &Ended) -> Result<()> {
        if ended.is_interrupted {
            return Err(Failure::interrupted(2));
        }
        if ended.status.success() {
            return Ok(());
        }
        Err(diagnostics::failure_of_text(doing, self.name(), &ended.err))
    }

    /// What a plan would be made of now.
    async fn basis(&self, purpose: Purpose) -> Result<Basis> {
        let (serial, lineage) = saved::serial(&self.pull().await?);
        let version = self.terraform.version().await?;
        Ok(Basis { purpose, inputs: saved::inputs(&self.root, &self.settings.environment)?, serial, lineage, version })
    }

    /// What there is, or what a plan file says.
    ///
    /// # Errors
    /// Terraform's own.
    pub async fn show(&self, file: Option<&Path>) -> Result<Shown> {
        let mut arguments = vec!["show".to_owned(), "-json".to_owned()];
        arguments.extend(file.map(|file| file.display().to_string()));
        let (ended, text) = self.runner().text(&arguments).await?;
        self.succeeded("show", &ended)?;
        Shown::parse(&text)
    }

    /// The root's outputs, as Terraform prints them: name to `value`, `type` and `sensitive`.
    ///
    /// # Errors
    /// Terraform's own.
    pub async fn outputs(&self) -> Result<serde_json::Map<String, Value>> {
        let (ended, text) = self.runner().text(&["output", "-json", "-no-color"].map(str::to_owned)).await?;
        self.succeeded("output", &ended)?;
        serde_json::from_str(&text).map_err(|_| Failure::failed("Terraform did not print its outputs as JSON"))
    }

    /// `terraform validate`.
    ///
    /// # Errors
    /// It could not look at all.
    pub async fn validate(&self) -> Result<Validation> {
        self.initialise(false).await?;
        let (ended, text) = self.runner().text(&["validate", "-json"].map(str::to_owned)).await?;
        if ended.is_interrupted {
            return Err(Failure::interrupted(2));
        }
        serde_json::from_str(&text).map_err(|_| diagnostics::failure_of_text("validate", self.name(), &ended.err))
    }

    /// The failure that these diagnostics come to.
    pub fn failure(&self, doing: &str, all: &[Diagnostic]) -> Failure {
        diagnostics::failure(doing, self.name(), &self.shown(), all)
    }

    /// `terraform import`.
    ///
    /// # Errors
    /// Terraform's own.
    pub async fn import(&self, address: &str, id: &str) -> Result<()> {
        let mut arguments = ["import", "-input=false", "-no-color"].map(str::to_owned).to_vec();
        arguments.extend(self.lock_timeout());
        arguments.extend([address.to_owned(), id.to_owned()]);
        let started = Instant::now();
        self.report.started("import", address);
        let (ended, _) = self.runner().text(&arguments).await?;
        self.succeeded("import", &ended).inspect_err(|_| self.report.failed("import", address))?;
        saved::forget(&self.folder);
        self.report.finished("import", address, started.elapsed());
        Ok(())
    }

    /// Takes a lock away from a run that is dead.
    ///
    /// # Errors
    /// There is no such lock, or Terraform's own.
    pub async fn unlock(&self, id: &str) -> Result<()> {
        let (ended, _) = self.runner().text(&["force-unlock", "-force", id].map(str::to_owned)).await?;
        self.succeeded("unlock", &ended)
    }
}

fn check_root(settings: &Settings, environment: &EnvironmentSettings) -> Result<()> {
    let root = settings.directory.join(&environment.terraform);
    if root.is_dir() {
        return Ok(());
    }
    let name = &environment.name;
    Err(Failure::usage(format!("there is no Terraform root for the environment `{name}`"))
        .cause(format!("there is no folder {}", root.display()))
        .hint(format!("Make it, or set environments.{name}.terraform in streamify.yaml.")))
}

/// The files that the root of an environment gets, checked against what it declares.
///
/// # Errors
/// No root; a root that is no HCL; values that don't fit.
pub fn rendered(settings: &Settings, environment: &EnvironmentSettings) -> Result<Vec<Rendered>> {
    check_root(settings, environment)?;
    let shown = &environment.terraform;
    let root = Root::read(&settings.directory.join(shown), shown, VARIABLES_FILE)?;
    let given = Given { derived: render::derived(settings, environment), own: environment.variables.clone() };
    let process = &settings.environment;
    let source = Source { file: settings.file.as_deref(), environment: &environment.name };
    let values = check(&root, &given, &Secrecy::of(environment, process), &source, process)?;
    let backend = render::backend(environment);
    let name = &environment.name;
    match (&backend, root.backend.as_deref()) {
        (Some(_), Some("s3")) | (None, _) => {}
        (Some(_), None) => {
            return Err(Failure::usage(format!(
                "streamify.yaml keeps the state of {name} in S3, and its root does not"
            ))
            .hint(format!("Add to {}: terraform {{ backend \"s3\" {{}} }}", shown.display())));
        }
        (Some(_), Some(other)) => {
            return Err(Failure::usage(format!(
                "streamify.yaml keeps the state of {name} in S3, and its root in `{other}`"
            ))
            .hint("Take `state` out of streamify.yaml, or change the root's backend to \"s3\" {}."));
        }
    }
    let value = serde_json::to_value(values).or_fail(|| "can't write the variables".to_owned())?;
    let of = |file: &str, value: Option<&Value>| Rendered::of(&settings.directory, &shown.join(file), value);
    let files = [of(VARIABLES_FILE, Some(&value))?, of(BACKEND_FILE, backend.as_ref())?];
    Ok(files.into_iter().filter(|file| file.before.is_some() || file.after.is_some()).collect())
}

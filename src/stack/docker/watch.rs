//! `dev watch`: files that change are copied into containers, or bring a restart or a build.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::query_parameters::UploadToContainerOptionsBuilder;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::attach::{self, Command};
use super::engine::{Engine, OrSay};
use super::entries::{Entry, restart, running};
use super::hooks;
use super::ignore::Ignored;
use super::plan::Wishes;
use super::stack::Stack;
use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;
use crate::stack::compose::model::{Service, Watch, WatchAction};

/// Changes that come close together are one: editors and checkouts write many files at once.
const QUIET: Duration = Duration::from_millis(200);

/// A rule of the file, ready to be asked.
struct Rule<'a> {
    service: &'a Service,
    watch: &'a Watch,
    action: WatchAction,
    folder: PathBuf,
    ignored: Ignored,
    included: Option<Ignored>,
}

impl<'a> Rule<'a> {
    fn of(service: &'a Service, watch: &'a Watch) -> Result<Self> {
        let wrong = |pattern: String| {
            Failure::usage(format!("{} watches with a pattern that can't be used: {pattern}", service.name))
        };
        let folder = PathBuf::from(&watch.path);
        if !folder.exists() {
            return Err(Failure::usage(format!("{} watches what is not there: {}", service.name, folder.display())));
        }
        let mut patterns = watch.ignore.clone();
        // A repository's own files, and what editors write for a moment, are nobody's change.
        patterns.extend([".git", "**/.git", "**/*.swp", "**/*~", "**/.DS_Store", "**/4913"].map(str::to_owned));
        let included = (!watch.include.is_empty()).then(|| Ignored::of(&watch.include).map_err(wrong)).transpose()?;
        Ok(Self {
            service,
            watch,
            action: watch.action.unwrap_or(WatchAction::Rebuild),
            folder,
            ignored: Ignored::of(&patterns).map_err(wrong)?,
            included,
        })
    }

    /// The path below the rule's folder, where the rule is about it.
    fn relative<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        let relative = path.strip_prefix(&self.folder).ok()?;
        let left_out = !relative.as_os_str().is_empty() && self.ignored.leaves_out(relative);
        let included = self.included.as_ref().is_none_or(|included| included.leaves_out(relative));
        (!left_out && included).then_some(relative)
    }

    /// Where the path is in the container.
    fn target(&self, relative: &Path) -> String {
        let target = self.watch.target.trim_end_matches('/');
        if relative.as_os_str().is_empty() { target.to_owned() } else { format!("{target}/{}", relative.display()) }
    }

    fn copies(&self) -> bool {
        matches!(self.action, WatchAction::Sync | WatchAction::SyncRestart | WatchAction::SyncExec)
    }
}

impl Stack<'_> {
    /// Follows the files until `interrupt`. What differs already is copied first where a rule asks for it.
    ///
    /// # Errors
    /// No service has a rule, or a rule can't be used. What goes wrong later is told, and watching goes on.
    pub async fn watch(
        &self,
        names: &[String],
        limit: Duration,
        report: &dyn Report,
        interrupt: &CancellationToken,
    ) -> Result<()> {
        let wishes = Wishes { services: names.to_vec(), no_dependencies: true, ..Wishes::default() };
        let services = super::plan::selection(self.project, &wishes)?;
        let mut rules = Vec::new();
        for service in services {
            for watch in service.develop.iter().flat_map(|develop| &develop.watch) {
                rules.push(Rule::of(service, watch)?);
            }
        }
        if rules.is_empty() {
            return Err(Failure::usage("there is nothing to watch")
                .cause("no service has a `develop: watch:` rule")
                .hint("For example: develop: {watch: [{action: sync, path: ./src, target: /app/src}]}"));
        }
        let (sender, mut changes) = mpsc::unbounded_channel::<PathBuf>();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, notify::EventKind::Access(_))
            {
                for path in event.paths {
                    let _ = sender.send(path);
                }
            }
        })
        .or_fail(|| "can't watch files".into())?;
        for rule in &rules {
            watcher.watch(&rule.folder, RecursiveMode::Recursive).map_err(|error| {
                Failure::failed(format!("can't watch {}", rule.folder.display()))
                    .because(&error)
                    .hint("Where there are too many files: sudo sysctl fs.inotify.max_user_watches=524288")
            })?;
        }
        for rule in rules.iter().filter(|rule| rule.watch.initial_sync && rule.copies()) {
            let everything =
                if rule.folder.is_dir() { rule.ignored.walk(&rule.folder)? } else { vec![rule.folder.clone()] };
            self.act(rule, &everything.into_iter().collect(), limit, report).await;
        }
        let folders = rules.iter().map(|rule| rule.folder.display().to_string()).collect::<BTreeSet<_>>();
        report.note(&format!("watching {}; Ctrl-C ends it", folders.into_iter().collect::<Vec<_>>().join(", ")));
        loop {
            let Some(batch) = next_batch(&mut changes, interrupt).await else { return Ok(()) };
            self.take(&rules, &batch, limit, report).await;
        }
    }

    /// Does what the rules say of one batch; a service is built once, however many of its files changed.
    async fn take(&self, rules: &[Rule<'_>], batch: &BTreeSet<PathBuf>, limit: Duration, report: &dyn Report) {
        let mut built: BTreeSet<&str> = BTreeSet::new();
        let mut by_rule: BTreeMap<usize, BTreeSet<PathBuf>> = BTreeMap::new();
        for path in batch {
            for (index, rule) in rules.iter().enumerate() {
                if rule.relative(path).is_some() {
                    by_rule.entry(index).or_default().insert(path.clone());
                }
            }
        }
        // What is built anew holds the new files already.
        let rebuilds: BTreeSet<&str> = by_rule
            .keys()
            .filter_map(|index| rules.get(*index))
            .filter(|rule| rule.action == WatchAction::Rebuild)
            .map(|rule| rule.service.name.as_str())
            .collect();
        for (index, paths) in by_rule {
            let Some(rule) = rules.get(index) else { continue };
            let name = rule.service.name.as_str();
            if rebuilds.contains(name) && (rule.action != WatchAction::Rebuild || !built.insert(name)) {
                continue;
            }
            self.act(rule, &paths, limit, report).await;
        }
    }

    async fn act(&self, rule: &Rule<'_>, paths: &BTreeSet<PathBuf>, limit: Duration, report: &dyn Report) {
        let begun = Instant::now();
        let name = &rule.service.name;
        let what = match paths.len() {
            1 => paths.first().map(|path| path.display().to_string()).unwrap_or_default(),
            many => format!("{many} files"),
        };
        report.started(name, &format!("{what} changed"));
        match self.carry_out(rule, paths, limit, report).await {
            Ok(how) => report.finished(name, how, begun.elapsed()),
            Err(failure) => {
                report.failed(name, &failure.to_string());
                failure.hints.iter().for_each(|hint| report.hint(hint));
            }
        }
    }

    async fn carry_out(
        &self,
        rule: &Rule<'_>,
        paths: &BTreeSet<PathBuf>,
        limit: Duration,
        report: &dyn Report,
    ) -> Result<&'static str> {
        let service = rule.service.name.clone();
        if rule.action == WatchAction::Rebuild {
            let wishes = Wishes { services: vec![service], build: true, no_dependencies: true, ..Wishes::default() };
            let prospect = self.prospect(&wishes).await?;
            self.up(prospect, &wishes, limit, report).await?;
            return Ok("built anew");
        }
        let containers = running(self.engine, &self.project.name, &[service]).await?;
        if rule.copies() {
            copy(self.engine, rule, paths, &containers).await?;
        }
        match rule.action {
            WatchAction::Restart | WatchAction::SyncRestart => {
                restart(self.engine, &self.project.name, &containers, limit, report).await?;
                Ok("restarted")
            }
            WatchAction::SyncExec => {
                for container in &containers {
                    hooks::run(self.engine, &container.id, &container.container, rule.watch.exec.as_slice()).await?;
                }
                Ok("copied, and its command run")
            }
            _ => Ok("copied"),
        }
    }
}

/// Waits for a change, and then until it is quiet; None: it is to end.
async fn next_batch(
    changes: &mut mpsc::UnboundedReceiver<PathBuf>,
    interrupt: &CancellationToken,
) -> Option<BTreeSet<PathBuf>> {
    let first = tokio::select! {
        () = interrupt.cancelled() => return None,
        first = changes.recv() => first?,
    };
    let mut batch = BTreeSet::from([first]);
    while let Ok(Some(next)) = tokio::time::timeout(QUIET, changes.recv()).await {
        batch.insert(next);
    }
    Some(batch)
}

async fn copy(engine: &Engine, rule: &Rule<'_>, paths: &BTreeSet<PathBuf>, containers: &[Entry]) -> Result<()> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    let (mut gone, mut any) = (Vec::new(), false);
    for path in paths {
        let Some(relative) = rule.relative(path) else { continue };
        let target = rule.target(relative);
        match std::fs::symlink_metadata(path) {
            Ok(_) => {
                let inside = target.trim_start_matches('/');
                archive.append_path_with_name(path, inside).or_fail(|| format!("can't read {}", path.display()))?;
                any = true;
            }
            Err(_) => gone.push(target),
        }
    }
    let archive = archive.into_inner().or_fail(|| "can't pack the files".into())?;
    for container in containers {
        if any {
            let options = UploadToContainerOptionsBuilder::new().path("/").build();
            let body = bollard::body_full(archive.clone().into());
            let copied = engine.docker.upload_to_container(&container.id, Some(options), body).await;
            copied.or_say(|| format!("can't copy into {}", container.container))?;
        }
        if !gone.is_empty() {
            let words = ["rm", "-rf", "--"].map(str::to_owned).into_iter().chain(gone.iter().cloned()).collect();
            let command = Command { words, terminal: Some(false), user: Some("0".into()), ..Command::default() };
            attach::exec(engine, &container.id, &command, &CancellationToken::new()).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_knows_its_files_and_where_they_go() {
        let folder = tempfile::tempdir().unwrap();
        let service = Service { name: "web".into(), ..Service::default() };
        let watch = Watch {
            path: folder.path().display().to_string(),
            target: "/app/".into(),
            ignore: vec!["node_modules/".into()],
            action: Some(WatchAction::Sync),
            ..Watch::default()
        };
        let rule = Rule::of(&service, &watch).unwrap();
        let relative = |path: &str| rule.relative(&folder.path().join(path)).map(|path| rule.target(path));
        assert_eq!(relative("src/a.js").as_deref(), Some("/app/src/a.js"));
        assert_eq!(relative("node_modules/x.js"), None);
        assert_eq!(relative(".git/index"), None);
        assert_eq!(rule.relative(Path::new("/elsewhere")), None);
    }
}

//! Files read and merged into one written-out document: interpolation, `include`, `extends`, several files.

mod aliases;
mod extends;
mod include;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::canonical;
use super::defaults;
use super::interpolate;
use super::merge;
use super::model::{Note, NoteKind};
use super::normalise;
use super::paths::{self, Base};
use super::problem::Problem;
use super::schema;
use super::tree::{Node, Place, Source};
use super::yaml;

pub(super) type Variables = BTreeMap<String, String>;

/// What reading gathers besides the document.
pub(super) struct Files<'a> {
    /// Paths are shown from here where they are below it.
    pub(super) here: &'a Path,
    /// Each file is read once: standard input can't be read twice, and `include` asks before it reads.
    sources: HashMap<PathBuf, Rc<Source>>,
    pub(super) notes: Vec<Note>,
    pub(super) problems: Vec<Problem>,
}

/// There are problems, and they are in [`Files::problems`].
pub(super) struct Stopped;

pub(super) type Step<T> = Result<T, Stopped>;

/// The folder and the variables that a group of files is read with.
#[derive(Clone, Copy)]
struct Scope<'a> {
    directory: &'a Path,
    variables: &'a Variables,
    /// The files that include this one, outermost first.
    including: &'a [PathBuf],
}

impl<'a> Files<'a> {
    pub(super) fn new(here: &'a Path) -> Self {
        Self { here, sources: HashMap::new(), notes: Vec::new(), problems: Vec::new() }
    }
}

impl Files<'_> {
    pub(super) fn stop<T>(&mut self, problem: Problem) -> Step<T> {
        self.problems.push(problem);
        Err(Stopped)
    }

    fn checked(&mut self, problems: Vec<Problem>) -> Step<()> {
        if problems.is_empty() {
            return Ok(());
        }
        self.problems.extend(problems);
        Err(Stopped)
    }

    /// Reads a Compose file; `asked` is the place that names it, where one does.
    pub(super) fn read(&mut self, path: &Path, asked: Option<&Place>) -> Step<Rc<Source>> {
        self.read_as(path, asked, false)
    }

    /// Reads a file with variables.
    pub(super) fn read_private(&mut self, path: &Path, asked: Option<&Place>) -> Step<Rc<Source>> {
        self.read_as(path, asked, true)
    }

    fn read_as(&mut self, path: &Path, asked: Option<&Place>, private: bool) -> Step<Rc<Source>> {
        if let Some(source) = self.sources.get(path) {
            return Ok(Rc::clone(source));
        }
        let text = if path == Path::new("-") {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read(path).and_then(|bytes| {
                String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not text in UTF-8"))
            })
        };
        let shown = self.shown(path);
        let error = match text {
            Ok(text) => {
                let source = Rc::new(Source { path: shown.into(), text, private });
                self.sources.insert(path.to_path_buf(), Rc::clone(&source));
                return Ok(source);
            }
            Err(error) => error,
        };
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let (place, message) = match asked {
            Some(place) if missing => (place.clone(), format!("there is no file {shown}")),
            Some(place) => (place.clone(), format!("can't read {shown}: {error}")),
            None => (
                Place::of_file(&Source::named(shown)),
                if missing { "there is no such file".to_owned() } else { format!("can't be read: {error}") },
            ),
        };
        let hint = match neighbour(path) {
            Some(name) => format!("Did you mean `{name}`?"),
            None if missing => "Make the file, or name another one.".to_owned(),
            None => "See who may read it, and what it is.".to_owned(),
        };
        self.stop(Problem::new(&place, message).hint(hint))
    }

    /// A path as people see it.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.here).unwrap_or(path).display().to_string()
    }

    /// Reads and merges the files of a project.
    pub(super) fn project(&mut self, files: &[PathBuf], directory: &Path, variables: &Variables) -> Step<Node> {
        self.model(files, Scope { directory, variables, including: &[] })
    }

    /// Reads and merges a group of files, and makes the result complete: defaults, absolute paths.
    fn model(&mut self, files: &[PathBuf], scope: Scope<'_>) -> Step<Node> {
        let mut document: Option<Node> = None;
        let mut first = None;
        for path in files {
            let source = self.read(path, None)?;
            first.get_or_insert_with(|| Place::of_file(&source));
            document = self.file(&source, path, scope, document)?;
        }
        let place = first.unwrap_or_else(|| Place::of_file(&Source::named("compose.yaml")));
        let Some(mut document) = document else {
            return self.stop(
                Problem::new(&place, "the file is empty")
                    .hint("A Compose file has `services:` with at least one service."),
            );
        };
        defaults::set(&mut document);
        let problems = defaults::check(&document);
        self.checked(problems)?;
        paths::resolve(&mut document, base(scope.directory, scope.variables));
        normalise::fill_listed_environments(&mut document, scope.variables);
        Ok(document)
    }

    /// Merges the documents of a file over what came before.
    fn file(&mut self, source: &Rc<Source>, path: &Path, scope: Scope<'_>, before: Option<Node>) -> Step<Option<Node>> {
        let mut merged = before;
        for mut document in self.documents(source, scope.variables)? {
            if let Some(place) = document.as_map().and_then(|map| map.key("version")) {
                self.note(&place.clone(), NoteKind::Deprecated, "`version` says nothing any more and can be taken out");
            }
            self.include(&mut document, path, scope)?;
            self.extends(&mut document, path, scope)?;
            let mut document = match merged.take() {
                Some(base) => match merge::documents(base, document) {
                    Ok(document) => document,
                    Err(problem) => return self.stop(problem),
                },
                None => document,
            };
            merge::settle(&mut document);
            merge::make_unique(&mut document);
            let problems = schema::check(&document);
            self.checked(problems)?;
            if let Some(map) = document.as_map_mut() {
                map.remove("version");
            }
            let problems = canonical::document(&mut document);
            self.checked(problems)?;
            merge::make_unique(&mut document);
            merged = Some(document);
        }
        Ok(merged)
    }

    /// The documents of a file with their variables filled in.
    fn documents(&mut self, source: &Rc<Source>, variables: &Variables) -> Step<Vec<Node>> {
        let mut documents = match yaml::parse(source) {
            Ok(documents) => documents,
            Err(problem) => return self.stop(problem),
        };
        for document in &mut documents {
            if document.as_map().is_none() {
                let message = format!("a Compose file is a mapping, and this is {}", document.kind());
                return self.stop(Problem::new(&document.place, message).hint("Begin with `services:`."));
            }
            let problems = interpolate::document(document, &|name| variables.get(name).cloned(), &mut self.notes);
            self.checked(problems)?;
            self.aliases(document)?;
        }
        Ok(documents)
    }

    pub(super) fn note(&mut self, place: &Place, kind: NoteKind, message: impl Into<String>) {
        self.notes.push(Note {
            file: place.source.path.clone(),
            line: place.line,
            column: place.column,
            kind,
            message: message.into(),
        });
    }
}

fn base<'a>(directory: &'a Path, variables: &'a Variables) -> Base<'a> {
    Base { directory, home: variables.get("HOME").map(String::as_str) }
}

/// A file of nearly that name in the same folder.
fn neighbour(path: &Path) -> Option<String> {
    let names: Vec<String> = std::fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    super::problem::closest(path.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

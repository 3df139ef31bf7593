//! What a Linux program needs to run: its processor, its loader, its shared libraries.
//!
//! Read from the program's own ELF headers, as the loader does it (System V ABI, chapter 5): nothing is run.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, ReadCache, ReadRef, elf};

use super::oci::Platform;
use crate::failure::{Failure, OrFail, Result};

/// A program or a shared library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub path: PathBuf,
    pub platform: Platform,
    /// The loader's path in the image; None for a static program.
    pub interpreter: Option<String>,
    needed: Vec<String>,
    /// Folders that the program itself names, `$ORIGIN` resolved.
    folders: Vec<PathBuf>,
}

impl Program {
    /// Reads a program's headers.
    ///
    /// # Errors
    /// It is not there, or no 64-bit Linux program.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| {
            Failure::usage(format!("can't read the program {}", path.display()))
                .because(&error)
                .hint("Build it first; `images.NAME.binary` in streamify.yaml says where it is.")
        })?;
        let cache = ReadCache::new(file);
        let kind = object::FileKind::parse(&cache);
        let wrong = |what: String| {
            Failure::usage(format!("{} can't be the program of an image", path.display())).cause(what).hint(
                "It must be a 64-bit program for Linux, such as the one of: cargo build --release --target \
                 x86_64-unknown-linux-musl",
            )
        };
        match kind {
            Ok(object::FileKind::Elf64) => {}
            Ok(object::FileKind::Elf32) => return Err(wrong("it is a 32-bit program".into())),
            _ => return Err(wrong("it is no ELF file, the format of Linux programs".into())),
        }
        let parsed = ElfFile64::<Endianness, _>::parse(&cache).map_err(|error| wrong(error.to_string()))?;
        let (endian, header) = (parsed.endian(), parsed.elf_header());
        let architecture = match header.e_machine(endian) {
            elf::EM_X86_64 => "amd64",
            elf::EM_AARCH64 => "arm64",
            elf::EM_RISCV => "riscv64",
            elf::EM_S390 => "s390x",
            elf::EM_PPC64 => "ppc64le",
            other => return Err(wrong(format!("its processor is unknown here (ELF machine {other})"))),
        };
        let headers = header.program_headers(endian, &cache).map_err(|error| wrong(error.to_string()))?;
        let dynamic = Dynamic::read(headers, endian, &cache).map_err(|error| wrong(error.to_string()))?;
        let origin = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let origin = origin.parent().unwrap_or(Path::new("/")).display().to_string();
        let resolve = |text: &str| PathBuf::from(text.replace("$ORIGIN", &origin).replace("${ORIGIN}", &origin));
        Ok(Self {
            path: path.to_path_buf(),
            platform: Platform::linux(architecture),
            interpreter: dynamic.interpreter,
            needed: dynamic.needed,
            folders: dynamic.folders.iter().map(|text| resolve(text)).collect(),
        })
    }

    /// The loader and every shared library that the program needs, directly or through another: the path in the image
    /// and the file on this machine. All libraries stand beside the C library, where the loader looks without a cache.
    ///
    /// # Errors
    /// A library that this machine does not have for the program's processor.
    pub fn libraries(&self) -> Result<BTreeMap<PathBuf, PathBuf>> {
        let Some(interpreter) = &self.interpreter else { return Ok(BTreeMap::new()) };
        let loader = PathBuf::from(interpreter);
        let missing = |name: &str, user: &Path| {
            Failure::failed(format!("{} needs {name}, which is not on this machine", user.display()))
                .cause(format!("it was looked for where {} keeps its libraries", self.platform))
                .hint("Name an image that has it as `base`, by digest, in streamify.yaml.")
                .hint("Or link the program statically: cargo build --release --target x86_64-unknown-linux-musl")
        };
        if Self::read(&loader).ok().as_ref().is_none_or(|found| found.platform != self.platform) {
            return Err(missing(interpreter, &self.path));
        }
        let system = system_folders(&self.platform);
        let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut waiting = VecDeque::from([self.clone()]);
        while let Some(user) = waiting.pop_front() {
            let folders: Vec<&PathBuf> = user.folders.iter().chain(&self.folders).chain(&system).collect();
            for name in &user.needed {
                let is_loader = loader.file_name().is_some_and(|file| file == name.as_str());
                if is_loader || found.contains_key(name) {
                    continue;
                }
                let library = find(name, &folders, &self.platform).ok_or_else(|| missing(name, &user.path))?;
                found.insert(name.clone(), library.path.clone());
                waiting.push_back(library);
            }
        }
        let c_library = found.iter().find(|(name, _)| name.starts_with("libc."));
        let home = c_library.and_then(|(_, path)| path.parent()).or(loader.parent()).map(Path::to_path_buf);
        let home = home.unwrap_or_else(|| PathBuf::from("/lib"));
        // Before glibc 2.34 names of hosts were looked up by libraries that no header names.
        for name in ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"] {
            let path = home.join(name);
            if found.contains_key("libc.so.6") && path.exists() {
                found.entry(name.to_owned()).or_insert(path);
            }
        }
        let mut all: BTreeMap<_, _> = found.into_iter().map(|(name, path)| (home.join(name), path)).collect();
        all.insert(loader.clone(), loader);
        for path in all.values_mut() {
            *path = path.canonicalize().or_fail(|| format!("can't read {}", path.display()))?;
        }
        Ok(all)
    }
}

/// What the program headers lead to.
#[derive(Default)]
struct Dynamic {
    interpreter: Option<String>,
    needed: Vec<String>,
    folders: Vec<String>,
}

impl Dynamic {
    fn read<'data, R: ReadRef<'data>>(
        headers: &[elf::ProgramHeader64<Endianness>],
        endian: Endianness,
        data: R,
    ) -> object::Result<Self> {
        let mut this = Self::default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        for header in headers {
            if let Some(bytes) = header.interpreter(endian, data)? {
                this.interpreter = Some(text(bytes));
            }
        }
        for header in headers {
            let Some(entries) = header.dynamic(endian, data)? else { continue };
            let value = |tag| entries.iter().find(|entry| entry.d_tag(endian) == tag).map(|entry| entry.d_val(endian));
            let (Some(address), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { continue };
            let strings = headers.iter().find_map(|header| header.data_range(endian, data, address, size).ok()?);
            let string = |offset: u64| {
                let start = strings?.get(usize::try_from(offset).ok()?..)?;
                start.split(|byte| *byte == 0).next().map(text)
            };
            for entry in entries {
                let Some(value) = string(entry.d_val(endian)) else { continue };
                match entry.d_tag(endian) {
                    elf::DT_NEEDED => this.needed.push(value),
                    elf::DT_RPATH | elf::DT_RUNPATH => this.folders.extend(value.split(':').map(str::to_owned)),
                    _ => {}
                }
            }
        }
        Ok(this)
    }
}

/// The first library of this name for this processor.
fn find(name: &str, folders: &[&PathBuf], platform: &Platform) -> Option<Program> {
    let candidates = folders.iter().map(|folder| folder.join(name)).filter(|path| path.is_file());
    candidates.filter_map(|path| Program::read(&path).ok()).find(|library| library.platform == *platform)
}

/// Where this machine keeps libraries: those of `ld.so.conf`, and the usual folders.
fn system_folders(platform: &Platform) -> Vec<PathBuf> {
    let processor = match platform.architecture.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "ppc64le" => "powerpc64le",
        other => other,
    };
    let mut folders: Vec<PathBuf> = [
        format!("/lib/{processor}-linux-gnu"),
        format!("/usr/lib/{processor}-linux-gnu"),
        "/lib64".into(),
        "/usr/lib64".into(),
        "/lib".into(),
        "/usr/lib".into(),
        // Where Debian's cross compilers have them.
        format!("/usr/{processor}-linux-gnu/lib"),
    ]
    .map(PathBuf::from)
    .into();
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/ld.so.conf.d")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for text in files.iter().filter_map(|path| fs::read_to_string(path).ok()) {
        folders.extend(text.lines().map(str::trim).filter(|line| line.starts_with('/')).map(PathBuf::from));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test's own program is one that is linked as the tool itself is.
    fn own() -> PathBuf {
        std::env::current_exe().unwrap()
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn the_libraries_of_a_program_are_all_found() {
        let program = Program::read(&own()).unwrap();
        assert!(program.interpreter.is_some() && program.needed.iter().any(|name| name == "libc.so.6"), "{program:?}");
        let libraries = program.libraries().unwrap();
        let names: Vec<_> = libraries.keys().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.contains(&"libc.so.6") && names.contains(&"libgcc_s.so.1"), "{names:?}");
        assert!(libraries.contains_key(Path::new(program.interpreter.as_deref().unwrap())));
    }

    #[test]
    fn what_is_no_program_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(Program::read(&path).unwrap_err().causes[0].contains("no ELF"));
        // Cut off in the middle of its headers.
        let start = fs::read(own()).unwrap();
        fs::write(&path, &start[..100]).unwrap();
        assert_eq!(Program::read(&path).unwrap_err().kind.exit_code(), 2);
        assert!(Program::read(&folder.path().join("none")).unwrap_err().hints[0].contains("Build it first"));
    }
}

//! The zip file of a function: the program as `bootstrap`, and nothing else. The same program is the same bytes.

use std::fmt::Write as _;
use std::io::{Cursor, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object::read::elf::{ElfFile64, FileHeader};
use object::{Endianness, elf};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use crate::failure::{Failure, OrFail, Result};

/// What Lambda takes without a detour over S3, in bytes.
const LARGEST: usize = 50 * 1024 * 1024;
/// What a zip file can tell of a time begins here: 1980-01-01, in seconds since 1970.
const FIRST: i64 = 315_532_800;

/// A program that is ready to be uploaded.
#[derive(Clone, Debug)]
pub struct Archive {
    pub(super) bytes: Vec<u8>,
    /// As Lambda tells it: SHA-256 in base64.
    pub(super) sha256: String,
    /// The same in hexadecimal digits.
    pub(super) digest: String,
    /// `x86_64` or `arm64`.
    pub(super) architecture: &'static str,
    /// The newest version of glibc that it needs; None for a static program.
    pub(super) glibc: Option<(u32, u32)>,
}

impl Archive {
    /// Packs a program. `time` is what the file says of when it was made, in seconds since 1970.
    ///
    /// # Errors
    /// It is not there, it is no 64-bit Linux program of a processor that Lambda has, or it is too large.
    pub fn of(program: &Path, time: Option<i64>) -> Result<Self> {
        let data = std::fs::read(program).map_err(|error| {
            Failure::usage(format!("can't read the program {}", program.display()))
                .because(&error)
                .hint("`images.app.binary` in streamify.yaml says where it is.")
        })?;
        let wrong = |why: String| {
            Failure::usage(format!("{} can't be the program of a function", program.display()))
                .cause(why)
                .hint("It must be a 64-bit Linux program for x86_64 or arm64.")
        };
        let (architecture, glibc) = needs(&data).map_err(wrong)?;
        let bytes = pack(&data, time.unwrap_or(FIRST))?;
        if bytes.len() > LARGEST {
            return Err(wrong(format!("as a zip file it has {} MB, and Lambda takes 50", bytes.len() / 1_000_000))
                .hint("Strip it of what only debuggers read: strip = \"symbols\" in Cargo's profile."));
        }
        let hash = Sha256::digest(&bytes);
        let digest = hexadecimal(&hash);
        Ok(Self { sha256: STANDARD.encode(hash), digest, bytes, architecture, glibc })
    }

    /// Whether a runtime of Lambda has what the program needs.
    ///
    /// # Errors
    /// Another processor, another kind of function, or a C library that is too old.
    pub(super) fn fits(&self, name: &str, runtime: &str, package: &str, architectures: &[String]) -> Result<()> {
        let wrong = |why: String| Failure::failed(format!("the program does not run as {name}")).cause(why);
        if package == "Image" {
            return Err(wrong("the function is a container image".into())
                .hint("Make it a function with the runtime provided.al2023 and the package type Zip."));
        }
        if !architectures.is_empty() && !architectures.iter().any(|one| one == self.architecture) {
            return Err(wrong(format!(
                "it is for {}, and the function is for {}",
                self.architecture,
                architectures.join(", ")
            ))
            .hint("Build it for that processor, or set `architectures` of the function in Terraform."));
        }
        // The C libraries of Amazon Linux 2 and 2023.
        let has = match runtime {
            "provided.al2" => (2, 26),
            "provided.al2023" => (2, 34),
            other => {
                return Err(wrong(format!("its runtime is {other}"))
                    .hint("Set the runtime provided.al2023 in Terraform: the program is its own runtime."));
            }
        };
        match self.glibc.filter(|needed| *needed > has) {
            None => Ok(()),
            Some((major, minor)) => {
                Err(wrong(format!("it needs glibc {major}.{minor}, and {runtime} has {}.{}", has.0, has.1))
                    .hint("Build it where glibc is as old, such as in an image of Amazon Linux 2023 or Debian 11.")
                    .hint("Or link it statically: cargo build --release --target x86_64-unknown-linux-musl"))
            }
        }
    }
}

fn pack(data: &[u8], time: i64) -> Result<Vec<u8>> {
    let failed = || "can't pack the program".to_owned();
    let time = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(time.max(FIRST)).or_fail(failed)?);
    let part = |value: i8| u8::try_from(value).unwrap_or(1);
    let year = u16::try_from(time.year()).unwrap_or(1980);
    let stamp = zip::DateTime::from_date_and_time(
        year,
        part(time.month()),
        part(time.day()),
        part(time.hour()),
        part(time.minute()),
        part(time.second()),
    );
    let stamp = stamp.map_err(|error| Failure::failed(failed()).cause(error.to_string()))?;
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(stamp)
        .unix_permissions(0o755);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("bootstrap", options).or_fail(failed)?;
    writer.write_all(data).or_fail(failed)?;
    Ok(writer.finish().or_fail(failed)?.into_inner())
}

/// Digits of a hash.
pub(super) fn hexadecimal(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A processor, and a version of glibc.
type Needs = (&'static str, Option<(u32, u32)>);

/// The processor, and the newest version of glibc that is asked for (System V ABI, "Symbol Versioning").
fn needs(data: &[u8]) -> std::result::Result<Needs, String> {
    if !matches!(object::FileKind::parse(data), Ok(object::FileKind::Elf64)) {
        return Err("it is no 64-bit ELF file, the format of Linux programs".to_owned());
    }
    let file = ElfFile64::<Endianness>::parse(data).map_err(|error| error.to_string())?;
    let (endian, header) = (file.endian(), file.elf_header());
    let architecture = match header.e_machine(endian) {
        elf::EM_X86_64 => "x86_64",
        elf::EM_AARCH64 => "arm64",
        other => return Err(format!("its processor is none of Lambda's (ELF machine {other})")),
    };
    let sections = file.elf_section_table();
    let mut newest = None;
    if let Some((mut needed, link)) = sections.gnu_verneed(endian, data).map_err(|error| error.to_string())? {
        let strings = sections.strings(endian, data, link).map_err(|error| error.to_string())?;
        while let Some((_, mut names)) = needed.next().map_err(|error| error.to_string())? {
            while let Some(name) = names.next().map_err(|error| error.to_string())? {
                let name = name.name(endian, strings).map_err(|error| error.to_string())?;
                newest = newest.max(std::str::from_utf8(name).ok().and_then(glibc));
            }
        }
    }
    Ok((architecture, newest))
}

/// `GLIBC_2.34` as numbers.
fn glibc(name: &str) -> Option<(u32, u32)> {
    let (major, minor) = name.strip_prefix("GLIBC_")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_same_program_is_the_same_bytes_and_a_zip_holds_it_alone() {
        let program = Path::new("/bin/ls");
        let (first, second) = (Archive::of(program, None).unwrap(), Archive::of(program, None).unwrap());
        assert_eq!((first.bytes == second.bytes, &first.digest), (true, &second.digest));
        assert_ne!(Archive::of(program, Some(1_700_000_000)).unwrap().digest, first.digest);
        let mut zip = zip::ZipArchive::new(Cursor::new(&first.bytes)).unwrap();
        assert_eq!(zip.len(), 1);
        let mut entry = zip.by_index(0).unwrap();
        assert_eq!((&*entry.name().unwrap(), entry.unix_mode()), ("bootstrap", Some(0o100_755)));
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        assert_eq!(data, std::fs::read(program).unwrap());
    }

    #[test]
    fn a_program_that_would_not_start_is_refused_with_its_reason() {
        assert_eq!(glibc("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(glibc("GLIBC_PRIVATE"), None);
        let archive = Archive::of(Path::new("/bin/ls"), None).unwrap();
        assert!(archive.glibc.is_some(), "{:?}", archive.glibc);
        let needy = Archive { glibc: Some((2, 38)), architecture: "x86_64", ..archive };
        let here = ["x86_64".to_owned()];
        let why = |failure: Failure| failure.causes[0].clone();
        let fits =
            |runtime: &str, kind: &str, on: &[String]| needy.fits("f", runtime, kind, on).map_err(why).unwrap_err();
        assert_eq!(fits("provided.al2023", "Zip", &here), "it needs glibc 2.38, and provided.al2023 has 2.34");
        assert!(fits("provided.al2023", "Zip", &["arm64".to_owned()]).contains("arm64"));
        assert!(fits("nodejs22.x", "Zip", &here).contains("nodejs22.x"));
        assert!(fits("", "Image", &here).contains("container image"));
        let fitting = Archive { glibc: Some((2, 34)), ..needy };
        fitting.fits("f", "provided.al2023", "Zip", &here).unwrap();
        let text = std::env::temp_dir().join(format!("no-program-{}", std::process::id()));
        std::fs::write(&text, "#!/bin/sh").unwrap();
        assert!(Archive::of(&text, None).unwrap_err().causes[0].contains("no 64-bit ELF"));
        std::fs::remove_file(text).unwrap();
    }
}

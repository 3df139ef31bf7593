//! Compression on every processor: the archive is cut into equal parts, each compressed on its own.
//!
//! A series of zstd frames (RFC 8878, section 3) or of gzip members (RFC 1952, section 2.2) is again one stream, so
//! every reader takes it. The cuts depend on the content alone: the bytes are the same on any number of processors.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::digest::{Digest, Hasher};
use crate::settings::Compression;

/// Twice the window of zstd's level: next to nothing is lost by a cut.
const PART: usize = 4 << 20;
/// zstd's own default: the best size for the time.
const ZSTD_LEVEL: i32 = 3;
/// gzip's own default.
const GZIP_LEVEL: u32 = 6;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Of the archive before compression.
    pub diff_id: Digest,
    /// Of the compressed bytes.
    pub digest: Digest,
    /// Compressed bytes.
    pub size: u64,
}

/// A part on its way to a compressor, and where its result goes.
type Job = (Arc<Vec<u8>>, Sender<io::Result<Vec<u8>>>);

/// Gives the writing end of `out` to `fill`, and compresses what is written to it.
pub(super) fn pack<T>(
    compression: Compression,
    out: &mut File,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<(T, Packed)> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
    std::thread::scope(|scope| {
        let (job_sender, jobs) = sync_channel::<Job>(workers);
        let (hash_sender, to_hash) = sync_channel::<Arc<Vec<u8>>>(workers * 2);
        let (order_sender, in_order) = sync_channel::<Receiver<io::Result<Vec<u8>>>>(workers * 2);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..workers {
            let jobs = Arc::clone(&jobs);
            scope.spawn(move || work(compression, &jobs));
        }
        // Only the workers hold the queue: when they are gone, a send fails instead of waiting for ever.
        drop(jobs);
        let hash = scope.spawn(move || {
            let mut hasher = Hasher::default();
            for part in to_hash {
                hasher.update(&part);
            }
            hasher.finish()
        });
        let write = scope.spawn(move || -> io::Result<(Digest, u64)> {
            let (mut hasher, mut size) = (Hasher::default(), 0);
            let mut out = BufWriter::with_capacity(1 << 20, out);
            for result in in_order {
                let bytes = result.recv().map_err(|_| io::Error::other("a compressor ended unexpectedly"))??;
                hasher.update(&bytes);
                size += bytes.len() as u64;
                out.write_all(&bytes)?;
            }
            out.flush()?;
            Ok((hasher.finish(), size))
        });
        let mut parts =
            Parts { buffer: Vec::with_capacity(PART), jobs: job_sender, hash: hash_sender, order: order_sender };
        let filled = fill(&mut parts).and_then(|value| parts.cut().map(|()| value));
        drop(parts);
        let ended = || io::Error::other("a compressor ended unexpectedly");
        let written = write.join().map_err(|_| ended())?;
        let diff_id = hash.join().map_err(|_| ended())?;
        // Where writing failed, filling failed only because of it.
        let (digest, size) = written?;
        Ok((filled?, Packed { diff_id, digest, size }))
    })
}

fn work(compression: Compression, jobs: &Mutex<Receiver<Job>>) {
    let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL);
    loop {
        // The lock is let go before the part is compressed.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((part, result)) = job else { return };
        let bytes = match (compression, &mut zstd) {
            (Compression::Zstd, Ok(zstd)) => zstd.compress(&part),
            (Compression::Zstd, Err(error)) => Err(io::Error::other(error.to_string())),
            (Compression::Gzip, _) => gzip(&part),
        };
        // Nobody waits for it any more when writing has failed.
        let _ = result.send(bytes);
    }
}

fn gzip(part: &[u8]) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(part.len() / 2);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(part)?;
    encoder.finish()
}

/// Cuts what is written into parts.
struct Parts {
    buffer: Vec<u8>,
    jobs: SyncSender<Job>,
    hash: SyncSender<Arc<Vec<u8>>>,
    order: SyncSender<Receiver<io::Result<Vec<u8>>>>,
}

impl Parts {
    fn cut(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Arc::new(std::mem::replace(&mut self.buffer, Vec::with_capacity(PART)));
        let (sender, receiver) = channel();
        let gone = || io::Error::other("writing the layer has failed");
        self.order.send(receiver).map_err(|_| gone())?;
        self.hash.send(Arc::clone(&part)).map_err(|_| gone())?;
        self.jobs.send((part, sender)).map_err(|_| gone())
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART {
            self.cut()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a layer, whatever it is compressed with: known by its first bytes.
pub(super) fn reader(mut file: File) -> io::Result<Box<dyn io::Read + Send>> {
    use std::io::{Read, Seek};
    let mut magic = Vec::new();
    Read::by_ref(&mut file).take(4).read_to_end(&mut magic)?;
    file.rewind()?;
    let file = io::BufReader::with_capacity(1 << 20, file);
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    fn packed(compression: Compression, content: &[u8]) -> (Packed, Vec<u8>) {
        let mut file = tempfile::tempfile().unwrap();
        let ((), packed) = pack(compression, &mut file, |out| out.write_all(content)).unwrap();
        file.rewind().unwrap();
        let mut bytes = Vec::new();
        reader(file).unwrap().read_to_end(&mut bytes).unwrap();
        (packed, bytes)
    }

    #[test]
    fn several_parts_are_one_stream_and_always_the_same() {
        let mut random = fastrand::Rng::with_seed(7);
        let content: Vec<u8> = (0..PART * 2 + 1234).map(|_| random.u8(0..16)).collect();
        for compression in [Compression::Zstd, Compression::Gzip] {
            let (first, read) = packed(compression, &content);
            assert!(read == content, "{compression:?} gives back something else");
            assert_eq!(first.diff_id, Digest::of(&content));
            assert!(first.size < content.len() as u64);
            assert_eq!(packed(compression, &content).0, first);
        }
        assert_eq!(packed(Compression::Zstd, b"").1, b"");
    }

    #[test]
    fn a_failure_of_the_source_is_told() {
        let mut file = tempfile::tempfile().unwrap();
        let failed = pack(Compression::Zstd, &mut file, |_| Err::<(), _>(io::Error::other("no such page")));
        assert_eq!(failed.unwrap_err().to_string(), "no such page");
    }
}

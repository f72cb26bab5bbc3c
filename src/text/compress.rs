//! Decompression of `.gz` and `.zst`, told by magic numbers and not by names, so that it works on standard input too.
//!
//! In: any reader. Out: [`Source`], a reader of the plain bytes, which knows whether an error came from the file
//! ([`Error::Read`]) or from a damaged stream ([`InputFault::Compression`]).

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::{Error, InputFault, RecordFault};

/// Bytes of the raw stream that tell whether it is compressed.
const MAGIC_BYTES: usize = 4;

/// Bytes read from a file at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// The header of an empty frame. The decoder checks the window that a frame asks for (at most 100 MiB) from its second
/// frame on only, so this one comes first.
const EMPTY_ZSTD_FRAME: [u8; 9] = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0];

/// The endings that name a compression.
const ENDINGS: [&str; 3] = [".gz", ".zst", ".zstd"];

/// The name of a file in lower case, without the ending of a compression.
pub(crate) fn plain_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let plain = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
    Some(plain.unwrap_or(&name).to_owned())
}

type Raw = BufReader<io::Chain<Cursor<Vec<u8>>, Noting>>;

/// A reader of the plain bytes of a file or stream.
pub(crate) struct Source {
    plain: Plain,
    noted: Arc<Mutex<Option<io::Error>>>,
}

enum Plain {
    Stored(Raw),
    Gzip(MultiGzDecoder<Raw>),
    Zstd(Box<ZstdFrames>),
}

impl Source {
    /// Looks at the first bytes of `input` and decompresses it if they say so.
    pub(crate) fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        let noted = Arc::new(Mutex::new(None));
        let mut input = Noting { inner: input, noted: Arc::clone(&noted) };
        let mut magic = Vec::with_capacity(MAGIC_BYTES);
        if let Err(error) = input.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut magic) {
            return Err(take_noted(&noted).unwrap_or(error));
        }
        let kind = magic.clone();
        let raw = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(input));
        let plain = match kind[..] {
            [0x1f, 0x8b, 8, ..] => Plain::Gzip(MultiGzDecoder::new(raw)),
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Plain::Zstd(Box::new(ZstdFrames::new(raw))),
            _ => Plain::Stored(raw),
        };
        Ok(Self { plain, noted })
    }

    /// Where the bytes come from, for error messages.
    pub(crate) fn origin(&self, path: &Path) -> Origin {
        let kind = match self.plain {
            Plain::Stored(_) => None,
            Plain::Gzip(_) => Some("gzip"),
            Plain::Zstd(_) => Some("zstd"),
        };
        Origin { path: path.to_path_buf(), kind, noted: Arc::clone(&self.noted) }
    }
}

/// Where bytes come from; makes the library's errors for it.
#[derive(Clone)]
pub(crate) struct Origin {
    path: PathBuf,
    kind: Option<&'static str>,
    noted: Arc<Mutex<Option<io::Error>>>,
}

impl Origin {
    /// The file, or `<stdin>`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The error for one that reading the [`Source`] gave: the file's own, or the decoder's.
    pub(crate) fn read_error(&self, source: io::Error) -> Error {
        let path = self.path.clone();
        if let Some(source) = take_noted(&self.noted) {
            return Error::Read { path, source };
        }
        match self.kind {
            Some(kind) => Error::Input { path, what: InputFault::Compression { kind, source } },
            None => Error::Read { path, source },
        }
    }

    /// The error for the whole input.
    pub(crate) fn fault(&self, what: InputFault) -> Error {
        Error::Input { path: self.path.clone(), what }
    }

    /// The error for one record.
    pub(crate) fn record_fault(&self, line: u64, what: RecordFault) -> Error {
        Error::Record { path: self.path.clone(), line, what }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.plain {
            Plain::Stored(raw) => raw.read(buffer),
            Plain::Gzip(gzip) => gzip.read(buffer),
            Plain::Zstd(frames) => frames.read(buffer),
        }
    }
}

/// A reader that keeps the error of the file itself apart from what decoders make of it.
struct Noting {
    inner: Box<dyn Read + Send>,
    noted: Arc<Mutex<Option<io::Error>>>,
}

impl Read for Noting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                *self.noted.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error);
            }
            kind.into()
        })
    }
}

fn take_noted(noted: &Mutex<Option<io::Error>>) -> Option<io::Error> {
    noted.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
}

/// The frames of a zstd stream one after another; skippable frames are skipped, checksums are checked.
struct ZstdFrames {
    raw: Raw,
    decoder: FrameDecoder,
    is_in_frame: bool,
    has_failed: bool,
}

impl ZstdFrames {
    fn new(raw: Raw) -> Self {
        let mut decoder = FrameDecoder::new();
        let primed = decoder.reset(&EMPTY_ZSTD_FRAME[..]);
        debug_assert!(primed.is_ok(), "the constant is a frame header");
        Self { raw, decoder, is_in_frame: false, has_failed: false }
    }

    /// Goes to the next frame with data; `false` at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.raw.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.raw) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut self.raw.by_ref().take(length.into()), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn read_frames(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_in_frame && !self.next_frame()? {
                return Ok(0);
            }
            self.is_in_frame = true;
            while self.decoder.can_collect() < buffer.len() && !self.decoder.is_finished() {
                let wanted = BlockDecodingStrategy::UptoBytes(buffer.len() - self.decoder.can_collect());
                self.decoder.decode_blocks(&mut self.raw, wanted).map_err(io::Error::other)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.is_in_frame = false;
            let stored = self.decoder.get_checksum_from_data();
            if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
                return Err(io::Error::other("the checksum does not fit"));
            }
        }
    }
}

impl Read for ZstdFrames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.has_failed {
            return Ok(0);
        }
        let result = self.read_frames(buffer);
        self.has_failed = result.is_err();
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    fn unpacked(bytes: &[u8]) -> (Vec<u8>, Option<Error>) {
        let path = Path::new("a");
        let mut plain = Vec::new();
        let mut source = Source::new(Box::new(Cursor::new(bytes.to_vec()))).unwrap();
        let error = source.read_to_end(&mut plain).err().map(|error| source.origin(path).read_error(error));
        (plain, error)
    }

    #[test]
    fn streams_of_several_parts_are_unpacked() {
        let long = "Die Delegationen reisten ab. ".repeat(20_000).into_bytes();
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let cases: &[(&str, Vec<u8>, &[u8])] = &[
            ("stored", b"abc".to_vec(), b"abc"),
            ("nothing", Vec::new(), b""),
            ("one byte", b"a".to_vec(), b"a"),
            ("gzip", gzip(&long), &long),
            ("gzip of nothing", gzip(b""), b""),
            ("gzip, two members", [gzip(b"abc"), gzip(b"def")].concat(), b"abcdef"),
            ("zstd", zstd(&long), &long),
            ("zstd, frames", [zstd(b"abc"), zstd(b""), skippable.clone(), zstd(b"def")].concat(), b"abcdef"),
            ("zstd, skippable first", [skippable, zstd(b"abc")].concat(), b"abc"),
        ];
        for (case, bytes, expected) in cases {
            let (plain, error) = unpacked(bytes);
            assert!(error.is_none(), "{case}: {error:?}");
            assert!(plain == *expected, "{case}");
        }
    }

    #[test]
    fn damaged_streams_are_told() {
        let text = "Die Delegationen reisten ab, ohne sich zu äußern. ".repeat(50).into_bytes();
        for (kind, bytes) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
            let mut cases = vec![(format!("{kind} and junk"), [bytes.clone(), b"junk junk".to_vec()].concat())];
            cases.extend((5..bytes.len()).map(|len| (format!("{kind} cut at {len}"), bytes[..len].to_vec())));
            for at in 4..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x55;
                cases.push((format!("{kind} changed at {at}"), damaged));
            }
            for (case, bytes) in cases {
                let (plain, error) = unpacked(&bytes);
                match error {
                    Some(Error::Input { what: InputFault::Compression { kind: found, .. }, .. }) => {
                        assert_eq!(found, kind, "{case}");
                    }
                    // Some bytes of a header mean nothing for the content.
                    None => assert!(plain == text || case.contains("changed"), "{case}"),
                    Some(error) => panic!("{case}: {error:?}"),
                }
            }
        }
    }

    #[test]
    fn errors_of_the_file_stay_its_own() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, "no"));
                }
                buffer[..4].copy_from_slice(&[0x1f, 0x8b, 8, 0]);
                Ok(4)
            }
        }
        let mut source = Source::new(Box::new(Broken(false))).unwrap();
        let error = source.read_to_end(&mut Vec::new()).unwrap_err();
        let error = source.origin(Path::new("a")).read_error(error);
        assert!(
            matches!(&error, Error::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied),
            "{error:?}"
        );
    }
}

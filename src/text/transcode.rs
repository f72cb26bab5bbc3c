//! Decoding of streams: bytes of any encoding in, bytes of UTF-8 out, with memory for one buffer only.
//!
//! What cannot be decoded becomes the byte [`INVALID`], which is nowhere part of UTF-8, so that the reader of lines
//! finds the line that holds it; nothing is replaced silently.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding};

/// Stands in the output for bytes that are invalid in the source encoding.
pub(crate) const INVALID: u8 = 0xFF;

/// Bytes read from the source at a time.
const STEP_BYTES: usize = 32 * 1024;

/// A reader of UTF-8 over a reader of another encoding.
pub(crate) struct Transcoder<R> {
    source: R,
    decoder: Decoder,
    input: Box<[u8]>,
    output: Vec<u8>,
    given: usize,
    is_done: bool,
}

impl<R: Read> Transcoder<R> {
    /// Decodes `source`, whose byte order mark was taken off.
    pub(crate) fn new(source: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        let input = vec![0; STEP_BYTES].into_boxed_slice();
        Self { source, decoder, input, output: Vec::new(), given: 0, is_done: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.output.clear();
        self.given = 0;
        let count = self.source.read(&mut self.input)?;
        self.is_done = count == 0;
        let mut rest = &self.input[..count];
        loop {
            let filled = self.output.len();
            let room = self.decoder.max_utf8_buffer_length_without_replacement(rest.len());
            self.output.resize(filled + room.unwrap_or(4 * rest.len() + 16), 0);
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(rest, &mut self.output[filled..], self.is_done);
            self.output.truncate(filled + written);
            rest = &rest[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.output.push(INVALID),
            }
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() && !self.is_done {
            self.refill()?;
        }
        let ready = &self.output[self.given..];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{UTF_16LE, WINDOWS_1251, WINDOWS_1253};

    use super::*;

    /// Gives one byte at a time, so that every sequence is cut.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn streams_decode_as_whole_texts_do() {
        let russian = WINDOWS_1251.encode("Переговоры отложены").0.into_owned();
        let utf16: Vec<u8> = "Ночь 🙂".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(&str, &'static Encoding, &[u8], &[u8]); 5] = [
            ("windows-1251", WINDOWS_1251, &russian, "Переговоры отложены".as_bytes()),
            ("UTF-16 with a pair of surrogates", UTF_16LE, &utf16, "Ночь 🙂".as_bytes()),
            ("UTF-16 cut in a unit", UTF_16LE, b"a\0b", b"a\xff"),
            ("undefined byte", WINDOWS_1253, b"a\xd2b", b"a\xffb"),
            ("nothing", UTF_16LE, b"", b""),
        ];
        for (case, encoding, bytes, expected) in cases {
            let mut found = Vec::new();
            Transcoder::new(Dripping(bytes), encoding).read_to_end(&mut found).unwrap();
            assert_eq!(found, expected, "{case}");
        }
    }
}

//! Encodings: which one bytes are in, and their text.
//!
//! In: bytes, or the beginning of a stream. Out: a [`Choice`] of encoding, or the decoded text. The rules, in order:
//! an encoding named by the caller; a byte order mark; files that are no text are refused by their magic number;
//! UTF-16 without a mark by its NUL bytes; other NUL or control bytes mean that this is no text; valid UTF-8 is UTF-8,
//! and so are bytes that are mostly UTF-8 (then the invalid byte is an error, not a guess); what the page declares;
//! the detector of Firefox.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::InputFault;
use crate::text::magic;

/// Bytes of a stream that the encoding is told from: enough for a detector, little enough to wait for.
pub(crate) const PREFIX_BYTES: usize = 64 * 1024;

/// Bytes that are looked at for UTF-16 without a mark; more would not change the answer.
const UTF16_SAMPLE_BYTES: usize = 4096;

/// Share of UTF-16 units that must be characters that texts are made of; the rest leaves room for symbols.
const UTF16_PLAUSIBLE_SHARE: f64 = 0.95;

/// One NUL byte in so many makes UTF-16 of bytes that could be text otherwise: Latin letters give one in two, and other
/// scripts give bytes that no text holds.
const UTF16_NUL_RATIO: usize = 5;

/// Share of control bytes above which bytes are no text: random bytes have 10 %, texts have none, an old DOS file one.
const CONTROL_SHARE: f64 = 0.02;

/// Where HTML pages declare their encoding, in bytes; browsers look at 1024, some pages have long comments before.
const HTML_DECLARATION_BYTES: usize = 4096;

/// Bytes decoded at a time, so that the output buffer grows with the text and not with its worst case.
const DECODE_STEP_BYTES: usize = 64 * 1024;

/// An encoding, and how many bytes of mark stand before the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The encoding.
    pub(crate) encoding: &'static Encoding,
    /// Length of the byte order mark, in bytes; 0 without one.
    pub(crate) mark: usize,
}

/// What is known of the encoding before looking at the text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hints {
    /// Named by the caller: always used.
    pub(crate) forced: Option<&'static Encoding>,
    /// Declared by the document: used when the bytes do not say otherwise.
    pub(crate) declared: Option<&'static Encoding>,
}

/// Tells the encoding of `prefix`, which is the whole text when `is_complete`.
pub(crate) fn detect(prefix: &[u8], is_complete: bool, hints: Hints) -> Result<Choice, InputFault> {
    if let Some(kind) = magic::binary_kind(prefix) {
        return Err(InputFault::Binary { found: kind.into() });
    }
    let marked = Encoding::for_bom(prefix).map(|(encoding, mark)| Choice { encoding, mark });
    if let Some(encoding) = hints.forced {
        return Ok(match marked {
            Some(choice) if choice.encoding == encoding || is_utf16(encoding) && is_utf16(choice.encoding) => choice,
            _ => Choice { encoding, mark: 0 },
        });
    }
    if let Some(choice) = marked {
        return Ok(choice);
    }
    if let Some(encoding) = utf16_without_mark(prefix) {
        return Ok(Choice { encoding, mark: 0 });
    }
    refuse_binary(prefix)?;
    let shape = Utf8Shape::of(prefix, is_complete);
    let encoding = if shape.invalid_bytes == 0 {
        match hints.declared {
            // Without a non-ASCII character the declaration can still matter for what follows the prefix.
            Some(declared) if shape.characters == 0 => declared,
            _ => UTF_8,
        }
    } else if shape.characters >= shape.invalid_bytes {
        UTF_8
    } else if let Some(declared) = hints.declared.filter(|&declared| declared != UTF_8) {
        declared
    } else {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(prefix, is_complete);
        detector.guess(None, Utf8Detection::Deny)
    };
    Ok(Choice { encoding, mark: 0 })
}

/// The text of `bytes`; see [`detect`] for the rules.
pub(crate) fn decode(bytes: &[u8], forced: Option<&'static Encoding>) -> Result<String, InputFault> {
    let choice = detect(bytes, true, Hints { forced, declared: None })?;
    decode_as(bytes, choice)
}

/// The text of an HTML page, whose own declaration of its encoding counts.
pub(crate) fn decode_html(bytes: &[u8], forced: Option<&'static Encoding>) -> Result<String, InputFault> {
    let choice = detect(bytes, true, Hints { forced, declared: declared_by_html(bytes) })?;
    decode_as(bytes, choice)
}

fn decode_as(bytes: &[u8], choice: Choice) -> Result<String, InputFault> {
    let Choice { encoding, mark } = choice;
    let fault = |offset: usize| InputFault::Encoding { encoding: encoding.name(), offset: offset as u64 };
    let body = &bytes[mark..];
    if encoding == UTF_8 {
        let text = std::str::from_utf8(body).map_err(|error| fault(mark + error.valid_up_to()))?;
        return Ok(text.to_owned());
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::new();
    let mut done = 0;
    loop {
        let step = &body[done..body.len().min(done + DECODE_STEP_BYTES)];
        let is_last = done + step.len() == body.len();
        text.reserve(decoder.max_utf8_buffer_length_without_replacement(step.len()).unwrap_or(4 * step.len() + 16));
        let (result, read) = decoder.decode_to_string_without_replacement(step, &mut text, is_last);
        done += read;
        match result {
            DecoderResult::InputEmpty if is_last => return Ok(text),
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
            DecoderResult::Malformed(bad, after) => {
                return Err(fault(mark + done.saturating_sub(usize::from(bad) + usize::from(after))));
            }
        }
    }
}

fn is_utf16(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

fn refuse_binary(prefix: &[u8]) -> Result<(), InputFault> {
    if let Some(offset) = memchr::memchr(0, prefix) {
        return Err(InputFault::Binary { found: format!("NUL byte at offset {offset}") });
    }
    let controls = prefix.iter().filter(|&&byte| magic::is_control(byte)).count();
    if controls > 1 && controls as f64 > CONTROL_SHARE * prefix.len() as f64 {
        let offset = prefix.iter().position(|&byte| magic::is_control(byte)).unwrap_or(0);
        let found = format!("{controls} control bytes, the first 0x{:02X} at offset {offset}", prefix[offset]);
        return Err(InputFault::Binary { found });
    }
    Ok(())
}

/// How much of some bytes is UTF-8 beyond ASCII, and how much cannot be.
struct Utf8Shape {
    characters: usize,
    invalid_bytes: usize,
}

impl Utf8Shape {
    fn of(bytes: &[u8], is_complete: bool) -> Self {
        let bytes = match std::str::from_utf8(bytes) {
            // A sequence that the end of the prefix cuts is not invalid.
            Err(error) if !is_complete && error.error_len().is_none() => &bytes[..error.valid_up_to()],
            _ => bytes,
        };
        let mut shape = Self { characters: 0, invalid_bytes: 0 };
        for chunk in bytes.utf8_chunks() {
            shape.characters += chunk.valid().bytes().filter(|byte| *byte >= 0xC0).count();
            shape.invalid_bytes += chunk.invalid().len();
        }
        shape
    }
}

/// UTF-16 without a byte order mark: one byte order gives characters that texts are made of, ASCII among them.
fn utf16_without_mark(prefix: &[u8]) -> Option<&'static Encoding> {
    let sample = &prefix[..prefix.len().min(UTF16_SAMPLE_BYTES) & !1];
    let nuls = memchr::memchr_iter(0, sample).count();
    let has_controls = sample.iter().any(|&byte| byte != 0 && magic::is_control(byte));
    if nuls == 0 || !has_controls && nuls * UTF16_NUL_RATIO < sample.len() {
        // No NUL bytes, or stray ones between bytes that all could be text.
        return None;
    }
    let little = ascii_if_plausible(sample, u16::from_le_bytes);
    let big = ascii_if_plausible(sample, u16::from_be_bytes);
    match (little, big) {
        (Some(little), Some(big)) if little == big => None,
        (little, big) if little > big => Some(UTF_16LE),
        (_, Some(_)) => Some(UTF_16BE),
        _ => None,
    }
}

/// Number of ASCII characters among the UTF-16 units of `sample`, if there are any and all of it looks like text.
fn ascii_if_plausible(sample: &[u8], unit: fn([u8; 2]) -> u16) -> Option<usize> {
    let mut units = sample.len() / 2;
    let mut plausible = 0;
    let mut ascii = 0;
    for decoded in char::decode_utf16(sample.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]))) {
        match decoded {
            Ok('\0') => return None,
            Ok(c) if c.is_ascii() => {
                ascii += 1;
                plausible += usize::from(!magic::is_control(c as u8));
            }
            Ok(c) => {
                // A pair of surrogates is one character.
                units -= c.len_utf16() - 1;
                let is_punctuation = matches!(c, '\u{a0}'..='\u{bf}' | '\u{2010}'..='\u{2044}' | '\u{20a0}'..='\u{20bf}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}');
                plausible += usize::from(c.is_alphanumeric() || is_punctuation);
            }
            Err(_) => {}
        }
    }
    (ascii > 0 && plausible as f64 >= UTF16_PLAUSIBLE_SHARE * units as f64).then_some(ascii)
}

/// The encoding that a page names in `<meta charset>`, `<meta http-equiv>` or its XML declaration.
fn declared_by_html(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(HTML_DECLARATION_BYTES)].to_ascii_lowercase();
    let declaration = if head.starts_with(b"<?xml") { &b"encoding"[..] } else { b"charset" };
    let places = memchr::memmem::find_iter(&head, declaration).chain(memchr::memmem::find_iter(&head, b"charset"));
    places.filter_map(|place| declaration_at(&head, place)).next()
}

fn declaration_at(head: &[u8], place: usize) -> Option<&'static Encoding> {
    let tag = &head[memchr::memrchr(b'<', &head[..place])?..place];
    if !(tag.starts_with(b"<meta") || tag.starts_with(b"<?xml")) || tag.contains(&b'>') {
        return None;
    }
    let rest = head[place..].trim_ascii_start();
    let from = rest.iter().position(|&byte| byte == b'=')?;
    let value = rest[from + 1..].trim_ascii_start();
    let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
    let end = value.iter().position(|byte| b"\"' ;>/?".contains(byte)).unwrap_or(value.len());
    let encoding = Encoding::for_label_no_replacement(&value[..end])?;
    // The bytes of the declaration were ASCII, so it cannot be UTF-16; the HTML standard reads it as UTF-8.
    Some(if is_utf16(encoding) { UTF_8 } else { encoding })
}

#[cfg(test)]
mod tests;

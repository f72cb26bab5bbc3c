//! Text to token ids, in as many windows as the text needs: nothing is ever cut off.

use std::ops::Range;

use tokenizers::Tokenizer;

use crate::error::{BundleFault, Error, Result};
use crate::text::joined;

/// Texts longer than this many bytes are tokenized in pieces cut at white space, so that the tokenizer's own
/// bookkeeping (some 100 bytes a byte of text) stays small however long a paragraph is. Tokenizers that split before white
/// space, as those of all families here do, give the same ids either way.
const PIECE_BYTES: usize = 16 * 1024;

/// One slice of a text's tokens, with the special tokens around it: what the encoder sees at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Token ids, special tokens included; at most `max_length`.
    pub(crate) ids: Vec<u32>,
    /// Token type of each; empty if all are of type 0, as those of a text that stands alone.
    pub(crate) type_ids: Vec<u32>,
    /// Tokens of the text that no window before this one holds.
    pub(crate) new_tokens: usize,
}

/// A text as the encoder sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// At least one.
    pub(crate) windows: Vec<Window>,
    /// Tokens of the text, special tokens not counted.
    pub(crate) tokens: usize,
    /// Of a text that is read together with hypotheses: whose windows these are, one after the other. Else empty.
    pub(crate) pairs: Vec<PairSpan>,
}

/// The windows of a text with one hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PairSpan {
    /// Which hypothesis.
    pub(crate) hypothesis: usize,
    /// How many windows.
    pub(crate) windows: usize,
}

impl Encoding {
    /// Windows that the text takes: of pairs, with the hypothesis that leaves it least room.
    pub(crate) fn text_windows(&self) -> usize {
        self.pairs.iter().map(|pair| pair.windows).max().unwrap_or(self.windows.len())
    }
}

/// A tokenizer that knows the window length of its bundle.
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    prompt: Prompt,
    capacity: usize,
    stride: usize,
}

/// What is done to every text before it is tokenized.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompt {
    /// Stands before the text (`query: `), in every window.
    pub(crate) prefix: String,
    /// Whether letters are made lower case.
    pub(crate) lower_case: bool,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`. Padding and truncation that the file may ask for are switched off.
    ///
    /// `max_length` counts special tokens, `stride` is the step from window to window in tokens of the text; `None` takes
    /// three quarters of what a window holds.
    pub(crate) fn read(
        json: &[u8],
        max_length: usize,
        stride: Option<usize>,
        prompt: Prompt,
    ) -> Result<Self, BundleFault> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(BundleFault::Tokenizer)?;
        tokenizer.with_truncation(None).map_err(BundleFault::Tokenizer)?;
        tokenizer.with_padding(None);
        let probe = tokenizer.encode("a", true).map_err(BundleFault::Tokenizer)?;
        let special = probe.get_special_tokens_mask();
        let before = special.iter().take_while(|&&mask| mask == 1).count();
        let after = special[before..].iter().rev().take_while(|&&mask| mask == 1).count();
        let ids = probe.get_ids();
        let (mut prefix, suffix) = (ids[..before].to_vec(), ids[ids.len() - after..].to_vec());
        let of_prompt = tokenizer.encode(prompt.prefix.trim(), false).map_err(BundleFault::Tokenizer)?;
        prefix.extend_from_slice(of_prompt.get_ids());
        let capacity = max_length.saturating_sub(prefix.len() + after);
        let stride = stride.unwrap_or((capacity * 3 / 4).max(1));
        if stride == 0 || stride > capacity {
            return Err(BundleFault::Stride { stride, max_length, capacity });
        }
        Ok(Self { tokenizer, prefix, suffix, prompt, capacity, stride })
    }

    /// Step from window to window, in tokens of the text.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// One more than the largest id that can occur, added tokens included.
    pub(crate) fn vocabulary_size(&self) -> usize {
        self.tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// Two short texts as the post-processor puts them together.
    pub(crate) fn probe_pair(&self) -> Result<tokenizers::Encoding, BundleFault> {
        self.tokenizer.encode(("a", "a"), true).map_err(BundleFault::Tokenizer)
    }

    /// The windows of a text. White space is joined first: a line break inside a paragraph is a space.
    pub(crate) fn encode(&self, text: &str) -> Result<Encoding> {
        let ids = self.content_ids(text)?;
        let windows = slices(ids.len(), self.capacity, self.stride).map(|slice| Window {
            ids: [&self.prefix, &ids[slice.range.clone()], &self.suffix].concat(),
            type_ids: Vec::new(),
            new_tokens: slice.new_tokens,
        });
        Ok(Encoding { windows: windows.collect(), tokens: ids.len(), pairs: Vec::new() })
    }

    /// Ids of a text without special tokens and those of the prompt.
    pub(crate) fn content_ids(&self, text: &str) -> Result<Vec<u32>> {
        let text = joined(text);
        let text = if self.prompt.lower_case { text.to_lowercase().into() } else { text };
        if self.prompt.prefix.is_empty() {
            return self.ids(&text);
        }
        // A text behind a prompt may begin with another token than one that stands alone.
        let mut ids = self.ids(&format!("{}{text}", self.prompt.prefix))?;
        let of_prompt = self.ids(self.prompt.prefix.trim())?;
        if ids.starts_with(&of_prompt) {
            ids.drain(..of_prompt.len());
            return Ok(ids);
        }
        self.ids(&text)
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for piece in pieces(text) {
            ids.extend_from_slice(self.tokenizer.encode_fast(piece, false).map_err(Error::Tokenizer)?.get_ids());
        }
        Ok(ids)
    }
}

/// Part of a text's tokens.
pub(crate) struct Slice {
    pub(crate) range: Range<usize>,
    /// Tokens that no slice before this one holds.
    pub(crate) new_tokens: usize,
}

/// Cuts `tokens` tokens into slices of at most `capacity`, one every `stride`; one at least.
pub(crate) fn slices(tokens: usize, capacity: usize, stride: usize) -> impl Iterator<Item = Slice> {
    let mut next = Some((0, 0));
    std::iter::from_fn(move || {
        let (start, seen) = next?;
        let end = tokens.min(start + capacity);
        next = (end < tokens).then_some((start + stride, end));
        Some(Slice { range: start..end, new_tokens: end - seen })
    })
}

/// Cuts a text with joined white space into pieces of at most [`PIECE_BYTES`], before spaces where there are any: byte-level
/// tokenizers make the space a part of the word behind it, all others pass over it.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest.len() <= PIECE_BYTES {
            return Some(std::mem::take(&mut rest));
        }
        let limit = rest.floor_char_boundary(PIECE_BYTES);
        let cut = rest[..limit].rfind(' ').filter(|&space| space > 0).unwrap_or(limit);
        let (piece, tail) = rest.split_at(cut);
        rest = tail;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny/tokenizer.json"));

    /// Window length and stride of the tiny fixture.
    const MAX_LENGTH: usize = 32;
    const STRIDE: usize = 24;

    fn tiny() -> TextTokenizer {
        TextTokenizer::read(TINY, MAX_LENGTH, Some(STRIDE), Prompt::default()).unwrap()
    }

    #[test]
    fn every_language_we_claim_has_known_tokens() {
        let cases = [
            ("de", "Die Außenminister berieten über eine Waffenruhe."),
            ("en", "The ministers discussed a ceasefire."),
            ("ru", "Министры обсудили прекращение огня."),
            ("uk", "Міністри обговорили припинення вогню, її й ґрунт."),
            ("pl", "Ministrowie omówili zawieszenie broni, źdźbło i żółw."),
            ("fr", "Les ministres ont évoqué un cessez-le-feu."),
            ("es", "Los ministros hablaron de un alto el fuego mañana."),
            ("it", "I ministri hanno parlato di una tregua."),
            ("tr", "Bakanlar ateşkesi görüştü, ığdır."),
            ("ar", "ناقش الوزراء وقف إطلاق النار."),
            ("zh", "部长们讨论了停火问题。"),
            ("cs", "Ministři jednali o příměří, žluťoučký kůň."),
        ];
        let tokenizer = tiny();
        let unknown = tokenizer.tokenizer.encode_fast("\u{10FFFD}", false).unwrap().get_ids().last().copied();
        for (language, text) in cases {
            let ids = tokenizer.ids(text).unwrap();
            let known = ids.iter().filter(|&&id| Some(id) != unknown).count();
            assert!(known * 2 > ids.len(), "{language}: {known} of {} tokens known", ids.len());
        }
    }

    #[test]
    fn windows_cover_every_token_once_and_overlap() {
        let tokenizer = tiny();
        for words in [0usize, 1, 2, 7, 8, 9, 10, 11, 40, 500] {
            let text = "Waffenruhe ".repeat(words);
            let ids = tokenizer.ids(&joined(&text)).unwrap();
            let encoding = tokenizer.encode(&text).unwrap();
            assert_eq!(encoding.tokens, ids.len(), "{words} words");
            assert_eq!(
                encoding.windows.iter().map(|window| window.new_tokens).sum::<usize>(),
                ids.len(),
                "{words} words"
            );
            let (before, after) = (tokenizer.prefix.len(), tokenizer.suffix.len());
            for (index, window) in encoding.windows.iter().enumerate() {
                assert!(window.ids.len() <= MAX_LENGTH, "{words} words, window {index}");
                let content = &window.ids[before..window.ids.len() - after];
                assert_eq!(
                    content,
                    &ids[index * STRIDE..index * STRIDE + content.len()],
                    "{words} words, window {index}"
                );
            }
        }
    }

    #[test]
    fn long_texts_get_the_same_ids_in_pieces() {
        let tokenizer = tiny();
        let text = "Переговоры о перемирии продолжаются, sagte der Sprecher. ".repeat(900);
        assert!(text.len() > 2 * PIECE_BYTES);
        let text = joined(&text);
        let whole = tokenizer.tokenizer.encode_fast(text.as_ref(), false).unwrap();
        assert_eq!(tokenizer.ids(&text).unwrap(), whole.get_ids());
    }

    #[test]
    fn pieces_cut_text_without_spaces_at_characters() {
        let text = "停火".repeat(PIECE_BYTES);
        assert_eq!(pieces(&text).collect::<String>(), text);
        assert!(pieces(&text).all(|piece| piece.len() <= PIECE_BYTES));
    }

    #[test]
    fn a_stride_that_skips_tokens_is_refused() {
        for stride in [0, MAX_LENGTH - 1, MAX_LENGTH, 1000] {
            let fault = TextTokenizer::read(TINY, MAX_LENGTH, Some(stride), Prompt::default()).err().expect("refused");
            assert!(fault.to_string().contains("stride"), "{stride}: {fault}");
        }
    }
}

//! Lines of a text and what the paragraph rule needs to know of each: where it stands, how wide it is, how it begins and
//! ends, whether it is marked as a heading, list item or caption.
//!
//! In: a text and a position. Out: a [`Line`]; only its place depends on the whole line, the rest on at most
//! [`MAX_COLUMNS`] columns at its ends, so that lines of any length are cheap.

use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use crate::text::space::{is_space, is_visible};

/// Columns up to which a line is measured. Nobody wraps text wider, so a wider line is a paragraph that was not wrapped.
pub(crate) const MAX_COLUMNS: usize = 200;

/// Columns of a word that no program for wrapping breaks (addresses of pages); its line says nothing of the width.
const LONG_WORD_COLUMNS: usize = 40;

/// Columns of a tab at the beginning of a line.
const TAB_COLUMNS: usize = 4;

/// Words before a colon that begin a caption or a source line, in lower case.
const CAPTION_WORDS: &[&str] = &[
    "foto",
    "fotos",
    "bild",
    "bilder",
    "grafik",
    "infografik",
    "karte",
    "video",
    "quelle",
    "quellen",
    "photo",
    "photos",
    "image",
    "picture",
    "caption",
    "source",
    "crédit photo",
    "crédit",
    "légende",
    "fuente",
    "imagen",
    "fonte",
    "immagine",
    "zdjęcie",
    "fot",
    "źródło",
    "fotografie",
    "zdroj",
    "fotoğraf",
    "kaynak",
    "фото",
    "видео",
    "источник",
    "фотография",
    "відео",
    "джерело",
    "світлина",
    "صورة",
    "الصورة",
    "المصدر",
    "图",
    "图片",
    "图源",
    "来源",
    "資料圖片",
    "写真",
    "出典",
    "사진",
];

/// One line: where it stands and how it looks.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The line without white space at its ends, in bytes; empty if nothing of it is visible.
    pub(crate) range: Range<usize>,
    /// Where the next line begins, in bytes.
    pub(crate) next: usize,
    /// Whether the line break after it separates paragraphs (form feed, U+2029).
    pub(crate) ends_block: bool,
    /// White space before the text, in columns.
    pub(crate) indent: usize,
    /// Column after the last character, at most a little over [`MAX_COLUMNS`].
    pub(crate) right: usize,
    /// Columns of the first word (of the first character in scripts without spaces), with the space before it.
    pub(crate) head: usize,
    /// How the line begins.
    pub(crate) start: Start,
    /// How the line ends.
    pub(crate) end: End,
    /// What the line is marked as.
    pub(crate) mark: Mark,
    /// Whether it is a quotation (`>`), as in mail and Markdown.
    pub(crate) is_quoted: bool,
    /// Whether a line of `=` or `-` follows, which makes this a heading.
    pub(crate) is_underlined: bool,
    /// Whether it is wider than any wrapped line.
    pub(crate) is_unwrapped: bool,
    /// Whether it holds a word that cannot be broken, so that its width means nothing.
    pub(crate) has_long_word: bool,
}

/// How a line begins: its first letter or digit, behind quotation marks and brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// A lower-case letter: the sentence goes on.
    Lower,
    /// An upper-case letter, a digit, or no letter at all.
    Other,
    /// A letter of a script without case.
    Caseless,
}

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With the end of a sentence, perhaps inside quotation marks.
    Sentence,
    /// With a colon.
    Colon,
    /// With a comma, a dash, an opening bracket: the sentence goes on.
    GoesOn,
    /// With a word.
    Open,
}

/// What a line is marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing.
    None,
    /// `# Heading`.
    Heading,
    /// A bullet that stands nowhere else.
    Bullet,
    /// A dash or a number, which may also stand inside a sentence.
    Dash,
    /// `-----`, `=====`, `* * *`.
    Rule,
    /// `Foto: …`.
    Caption,
    /// `| a | b |`, `![image](…)`.
    Row,
}

impl Line {
    /// The line of `text` that begins at `from`; `None` at the end.
    pub(crate) fn at(text: &str, from: usize) -> Option<Self> {
        if from >= text.len() {
            return None;
        }
        let (end, next, ends_block) = line_end(text.as_bytes(), from);
        let raw = &text[from..end];
        let content = if raw.chars().any(is_visible) { raw.trim_matches(is_space) } else { "" };
        let start = if content.is_empty() { from } else { end - raw.trim_start_matches(is_space).len() };
        let mut line = Self {
            range: start..start + content.len(),
            next,
            ends_block,
            indent: 0,
            right: 0,
            head: 0,
            start: Start::Other,
            end: End::Open,
            mark: Mark::None,
            is_quoted: false,
            is_underlined: false,
            is_unwrapped: false,
            has_long_word: false,
        };
        if !content.is_empty() {
            line.indent = text[from..start].chars().map(space_columns).sum::<usize>().min(MAX_COLUMNS);
            line.measure(content);
            let can_head = line.mark == Mark::None && line.end != End::Sentence && !line.is_unwrapped;
            line.is_underlined = !ends_block && can_head && is_underline(text, next);
        }
        Some(line)
    }

    /// Whether nothing of the line is visible.
    pub(crate) fn is_blank(&self) -> bool {
        self.range.is_empty()
    }

    fn measure(&mut self, content: &str) {
        let (mut columns, mut word, mut can_break) = (0, 0, false);
        for c in content.chars() {
            let width = columns_of(c);
            columns += width;
            if c.is_whitespace() || width > 1 {
                can_break = true;
                word = 0;
            } else {
                word += width;
            }
            self.has_long_word |= word >= LONG_WORD_COLUMNS;
            if columns > MAX_COLUMNS {
                self.is_unwrapped = can_break;
                break;
            }
        }
        self.right = self.indent + columns;
        self.is_quoted = content.starts_with('>');
        let words = content.trim_start_matches(|c: char| c == '>' || is_space(c));
        self.head = head_columns(words);
        self.start = start_of(words);
        self.end = end_of(words);
        self.mark = mark_of(words);
    }
}

/// Where the line from `from` ends, where the next begins, and whether the break between them ends a block.
fn line_end(bytes: &[u8], from: usize) -> (usize, usize, bool) {
    for (at, &byte) in bytes.iter().enumerate().skip(from) {
        let is_before = |rest: &[u8]| bytes[at + 1..].starts_with(rest);
        match byte {
            b'\n' | 0x0b => return (at, at + 1, false),
            0x0c => return (at, at + 1, true),
            b'\r' => return (at, at + 1 + usize::from(is_before(b"\n")), false),
            0xc2 if is_before(b"\x85") => return (at, at + 2, false),
            0xe2 if is_before(b"\x80\xa8") => return (at, at + 3, false),
            0xe2 if is_before(b"\x80\xa9") => return (at, at + 3, true),
            _ => {}
        }
    }
    (bytes.len(), bytes.len(), false)
}

fn is_underline(text: &str, from: usize) -> bool {
    let mut sign = None;
    let mut count = 0;
    for c in text[from..].chars() {
        match c {
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => break,
            '=' | '-' if sign.is_none_or(|sign| sign == c) => {
                sign = Some(c);
                count += 1;
            }
            c if is_space(c) => {}
            _ => return false,
        }
    }
    count >= 3
}

fn space_columns(c: char) -> usize {
    match c {
        '\t' => TAB_COLUMNS,
        c => columns_of(c),
    }
}

fn columns_of(c: char) -> usize {
    if c.is_ascii() { 1 } else { c.width().unwrap_or(0) }
}

fn head_columns(words: &str) -> usize {
    let mut columns = 0;
    for (index, c) in words.chars().enumerate() {
        let width = columns_of(c);
        match width {
            2 if index == 0 => return 2,
            2 => break,
            _ if c.is_whitespace() || columns > MAX_COLUMNS => break,
            _ => columns += width,
        }
    }
    columns + 1
}

fn start_of(words: &str) -> Start {
    // Quotation marks and brackets are few; a line of other signs has no letter to tell from.
    match words.chars().take(4).find(|c| c.is_alphanumeric()) {
        Some(c) if c.is_lowercase() => Start::Lower,
        Some(c) if c.is_alphabetic() && !c.is_uppercase() => Start::Caseless,
        _ => Start::Other,
    }
}

fn end_of(words: &str) -> End {
    let is_closer = |c: &char| "»«“”\"'’‘›‹)]}）】》」』*_".contains(*c);
    match words.chars().rev().take(MAX_COLUMNS).find(|c| !is_closer(c)) {
        Some(
            '.' | '!' | '?' | '…' | '。' | '！' | '？' | '．' | '｡' | '؟' | '۔' | '।' | '॥' | '։' | '‼' | '⁉' | '⁈',
        ) => End::Sentence,
        Some(':' | '：') => End::Colon,
        Some(
            ',' | ';' | '-' | '–' | '—' | '‐' | '(' | '[' | '/' | '&' | '\u{ad}' | '„' | '،' | '؛' | '，' | '、' | '；',
        ) => End::GoesOn,
        _ => End::Open,
    }
}

fn mark_of(words: &str) -> Mark {
    let is_before_space = |rest: &str| rest.chars().next().is_none_or(is_space);
    let Some(first) = words.chars().next() else { return Mark::None };
    let after = &words[first.len_utf8()..];
    if first == '#' {
        let rest = words.trim_start_matches('#');
        return if words.len() - rest.len() <= 6 && is_before_space(rest) { Mark::Heading } else { Mark::None };
    }
    if "-=*_~–—".contains(first)
        && words.chars().all(|c| c == first || is_space(c))
        && words.chars().filter(|&c| c == first).take(3).count() == 3
    {
        return Mark::Rule;
    }
    let is_mark = match first {
        '|' if after.ends_with('|') => return Mark::Row,
        '!' if after.starts_with('[') && words.ends_with(')') => return Mark::Row,
        '•' | '‣' | '◦' | '▪' | '▫' | '●' | '○' | '■' | '□' | '►' | '➤' => return Mark::Bullet,
        '*' | '+' if is_before_space(after) => return Mark::Bullet,
        '-' | '–' | '—' => is_before_space(after),
        '©' => return Mark::Caption,
        _ => false,
    };
    if is_mark || is_numbered(words) {
        return Mark::Dash;
    }
    let opened = words.trim_start_matches(['(', '[', '*', '_']);
    if is_caption(opened) { Mark::Caption } else { Mark::None }
}

/// `1. `, `12) `, `(3) `, `a) `.
fn is_numbered(words: &str) -> bool {
    let rest = words.strip_prefix('(').unwrap_or(words);
    let digits = rest.bytes().take(4).take_while(u8::is_ascii_digit).count();
    let is_letter = rest.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let number = if is_letter { 1 } else { digits };
    if number == 0 || number > 3 {
        return false;
    }
    let mut after = rest[number..].chars();
    let sign = after.next();
    let fits = sign == Some(')') || sign == Some('.') && !is_letter && rest.len() == words.len();
    fits && after.next().is_some_and(is_space)
}

fn is_caption(words: &str) -> bool {
    // The longest word with its colon.
    let head: String = words.chars().take(16).collect::<String>().to_lowercase();
    let Some((word, _)) = head.split_once([':', '：']) else { return false };
    CAPTION_WORDS.contains(&word.trim_end_matches(is_space).trim_end_matches('.'))
}

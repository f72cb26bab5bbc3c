//! Text in a terminal: made harmless, measured in columns, cut and wrapped.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Bytes of one grapheme cluster that are shown. The longest emoji sequences have 35; a letter under a thousand accents
/// is cut here.
const GRAPHEME_BYTES: usize = 64;

/// Text that a terminal shows as it is: no control characters (their pictures instead), no bidirectional overrides,
/// every run of white space one space.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if character.is_whitespace() => {
                if !cleaned.is_empty() && !cleaned.ends_with(' ') {
                    cleaned.push(' ');
                }
            }
            // Bidirectional embeddings, overrides and isolates reorder what stands beside the text; soft hyphens and
            // byte order marks have another width in every terminal.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{ad}' | '\u{feff}' => {}
            '\0'..='\x1f' => cleaned.push(char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}')),
            '\x7f' => cleaned.push('\u{2421}'),
            _ if character.is_control() => cleaned.push('\u{fffd}'),
            _ => cleaned.push(character),
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// Columns that `text` takes. Counted by grapheme cluster: an Arabic ligature may be drawn narrower, never wider.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// The beginning of `text`, cleaned, in at most `columns` columns; `…` at its end if something is missing.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    // More than fits, but not all of a text of megabytes.
    let end = text.floor_char_boundary(columns.saturating_mul(GRAPHEME_BYTES).saturating_add(GRAPHEME_BYTES));
    let cleaned = clean(&text[..end]);
    if end == text.len() && width(&cleaned) <= columns {
        return shown(&cleaned);
    }
    let mut fitting = String::new();
    let mut used = 0;
    for grapheme in cleaned.graphemes(true) {
        used += grapheme.width();
        if used >= columns.max(1) {
            break;
        }
        fitting.push_str(limited(grapheme));
    }
    fitting.truncate(fitting.trim_end().len());
    if columns > 0 {
        fitting.push('…');
    }
    fitting
}

/// The end of `text`, cleaned, in at most `columns` columns; `…` at its beginning if something is missing.
pub(crate) fn cut_start(text: &str, columns: usize) -> String {
    let cleaned = clean(text);
    if width(&cleaned) <= columns {
        return shown(&cleaned);
    }
    let mut graphemes = Vec::new();
    let mut used = 1;
    for grapheme in cleaned.graphemes(true).rev() {
        used += grapheme.width();
        if used > columns {
            break;
        }
        graphemes.push(limited(grapheme));
    }
    graphemes.extend((columns > 0).then_some("…"));
    graphemes.into_iter().rev().collect()
}

/// All of `text`, cleaned, in lines of at most `columns` columns. Breaks at spaces, between Chinese and Japanese
/// characters, and inside a word only if it is longer than a line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    wrap_cleaned(&clean(text), columns)
}

/// [`wrap`] for cleaned text. Does not break at no-break spaces, and writes them as spaces.
pub(crate) fn wrap_cleaned(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let word_width = width(word);
        let space = usize::from(used > 0);
        if used + space + word_width > columns && !(breaks_anywhere(word) && used + space + 2 <= columns) {
            lines.extend((used > 0).then(|| std::mem::take(&mut line)));
            used = 0;
        } else if space == 1 {
            line.push(' ');
            used += 1;
        }
        for grapheme in word.graphemes(true) {
            let grapheme_width = grapheme.width();
            if used + grapheme_width > columns {
                let carried = if never_first(grapheme) { carry(&mut line) } else { String::new() };
                used = width(&carried);
                lines.push(std::mem::replace(&mut line, carried).trim_end().to_owned());
            }
            line.push_str(limited(grapheme));
            used += grapheme_width;
        }
    }
    lines.extend((!line.is_empty()).then_some(line));
    lines.into_iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// `text` with spaces after it up to `columns` columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let spaces = columns.saturating_sub(width(text));
    format!("{text}{:spaces$}", "")
}

fn shown(text: &str) -> String {
    text.graphemes(true).map(limited).collect()
}

fn limited(grapheme: &str) -> &str {
    &grapheme[..grapheme.floor_char_boundary(GRAPHEME_BYTES)]
}

/// Whether a line may end inside the word: it is written in wide characters other than Hangul, which has spaces.
fn breaks_anywhere(word: &str) -> bool {
    let first = word.chars().find(|character| character.is_alphabetic());
    first.is_some_and(|first| {
        first.width() == Some(2) && !matches!(first, '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}')
    })
}

/// Marks that close and therefore open no line (the common ones of JIS X 4051).
fn never_first(grapheme: &str) -> bool {
    matches!(grapheme, "。" | "，" | "、" | "！" | "？" | "：" | "；" | "）" | "」" | "』" | "》" | "”" | "’" | "…")
}

/// Takes the last grapheme cluster off the line, so that a closing mark has company; nothing off a line that has one.
fn carry(line: &mut String) -> String {
    match line.grapheme_indices(true).next_back() {
        Some((start, _)) if start > 0 => line.split_off(start),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_pictures() {
        assert_eq!(clean("\x1b[31mred\x07\r\n\tx\x7f\u{9b}0m\u{0}"), "␛[31mred␇ x␡\u{fffd}0m␀");
        assert_eq!(clean("a\u{202e}b\u{2066}c\u{ad}d\u{feff}"), "abcd");
        assert_eq!(clean("  a \u{2028}\u{a0} b  "), "a b");
    }

    #[test]
    fn cuts_at_columns() {
        for (text, columns, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("ab cd", 4, "ab…"),
            ("停火协议", 8, "停火协议"),
            ("停火协议", 7, "停火协…"),
            ("停火协议", 6, "停火…"),
            ("e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}e\u{301}"),
            ("e\u{301}e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}…"),
            ("السلام", 4, "الس…"),
            ("👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 3, "👩‍👩‍👧‍👦…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
            ("", 0, ""),
        ] {
            let found = cut(text, columns);
            assert_eq!(found, expected, "{text:?} in {columns}");
            assert!(width(&found) <= columns, "{text:?} in {columns}");
        }
        assert_eq!(cut_start("examples/minsk.txt", 10), "…minsk.txt");
        assert_eq!(cut_start("minsk.txt", 9), "minsk.txt");
        assert_eq!(cut_start("示例/明斯克", 6), "…斯克");
        assert_eq!(cut_start("abc", 0), "");
    }

    #[test]
    fn a_letter_under_a_thousand_accents_is_cut() {
        let zalgo = format!("a{}b", "\u{301}".repeat(10_000));
        for found in [cut(&zalgo, 10), wrap(&zalgo, 10).concat(), cut_start(&zalgo, 10)] {
            assert!(found.len() < 100, "{} bytes", found.len());
        }
    }

    #[test]
    fn wraps_between_words_and_wide_characters() {
        for (text, columns, expected) in [
            ("one two three", 7, vec!["one two", "three"]),
            ("one two", 80, vec!["one two"]),
            ("abcdefghij kl", 4, vec!["abcd", "efgh", "ij", "kl"]),
            ("双方签署停火协议。", 8, vec!["双方签署", "停火协", "议。"]),
            ("UN 双方签署", 7, vec!["UN 双方", "签署"]),
            ("정부는 휴전을", 8, vec!["정부는", "휴전을"]),
            ("عبرت القوات النهر", 12, vec!["عبرت القوات", "النهر"]),
            (" \n ", 10, vec![]),
            ("停火", 0, vec!["停", "火"]),
        ] {
            assert_eq!(wrap(text, columns), expected, "{text:?} in {columns}");
        }
    }
}

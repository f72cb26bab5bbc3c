//! What counts as white space and as visible, in one place.
//!
//! In: characters and strings. Out: whether a character shows anything, trimmed slices, and [`joined`] text.

use std::borrow::Cow;

/// Whether `c` is white space for the paragraph rule: Unicode white space, the four separators U+001C to U+001F (as in
/// Python's `str.split`), and the characters of no width that stand for a place and not for a sign: zero-width space,
/// word joiner, byte order mark.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// Whether `c` shows something. Beside white space, control characters, soft hyphens, joiners, direction marks,
/// variation selectors, fillers and tags show nothing by themselves.
pub(crate) fn is_visible(c: char) -> bool {
    !is_space(c)
        && !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2061}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether `text` shows nothing at all.
pub(crate) fn is_blank(text: &str) -> bool {
    !text.chars().any(is_visible)
}

/// `text` as it is encoded: every run of white space becomes one space, none is left at the ends.
///
/// White space is what Python's `" ".join(text.split())` takes for it, so that training and classification see the same
/// string. Soft hyphens and zero-width characters stay; the tokenizer deals with them. Borrowed when nothing changes.
///
/// ```
/// assert_eq!(detente::text::joined("Ein Satz,\n  der weitergeht."), "Ein Satz, der weitergeht.");
/// ```
pub fn joined(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_matches(splits);
    let mut after_space = false;
    let is_joined = trimmed.chars().all(|c| {
        let fits = c == ' ' && !after_space || !splits(c);
        after_space = c == ' ';
        fits
    });
    if is_joined {
        return Cow::Borrowed(trimmed);
    }
    let mut out = String::with_capacity(trimmed.len());
    for word in trimmed.split(splits).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    Cow::Owned(out)
}

fn splits(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_is_what_python_split_and_join_give() {
        let cases = [
            ("", ""),
            ("  ", ""),
            ("ein Wort", "ein Wort"),
            (" ein  Wort ", "ein Wort"),
            ("ein\r\nWort\u{a0}und\u{3000}noch\u{2028}eins", "ein Wort und noch eins"),
            ("a\u{1c}b\u{85}c", "a b c"),
            ("Don\u{ad}bass\u{200b}x\u{feff}", "Don\u{ad}bass\u{200b}x\u{feff}"),
        ];
        for (text, expected) in cases {
            assert_eq!(joined(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_shows_nothing_is_not_visible() {
        for c in
            [' ', '\0', '\u{ad}', '\u{200b}', '\u{200d}', '\u{200f}', '\u{2060}', '\u{feff}', '\u{fe0f}', '\u{3164}']
        {
            assert!(!is_visible(c), "{c:?}");
        }
        for c in ['a', 'я', '中', '.', '—', '🙂', '\u{fffd}', '\u{301}'] {
            assert!(is_visible(c), "{c:?}");
        }
    }
}

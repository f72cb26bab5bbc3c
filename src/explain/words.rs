//! The words of a text, and the text without some of them.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// What is read where nothing but white space would be left: something that says nothing.
const NOTHING: &str = ".";

/// Where the words of `text` stand, by the rule of Unicode (UAX 29), which leaves out spaces and punctuation. It takes each
/// character of Chinese, Japanese or Thai for a word; two that touch make one here, since most words of these have two.
pub(crate) fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let is_single = |range: &Range<usize>| {
        let mut characters = text[range.clone()].chars();
        characters.next().is_some_and(|character| !character.is_ascii()) && characters.next().is_none()
    };
    for (start, word) in text.unicode_word_indices() {
        let range = start..start + word.len();
        match words.last_mut() {
            Some(last) if last.end == start && is_single(last) && is_single(&range) => last.end = range.end,
            _ => words.push(range),
        }
    }
    words
}

/// `text` without the slices at `ranges`, which ascend and do not overlap.
pub(crate) fn without(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for range in ranges {
        out.push_str(&text[end..range.start]);
        end = range.end;
    }
    out.push_str(&text[end..]);
    if out.trim().is_empty() { NOTHING.to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_every_script() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("… !? 🙂", &[]),
            ("The U.S. didn't say 3.5 %.", &["The", "U.S", "didn't", "say", "3.5"]),
            ("Waffen-Ruhe, hält!", &["Waffen", "Ruhe", "hält"]),
            ("Минск отозвал посла", &["Минск", "отозвал", "посла"]),
            ("外交部召见大使。", &["外交", "部召", "见大", "使"]),
            ("ناقش الوزراء وقف", &["ناقش", "الوزراء", "وقف"]),
            ("a b c", &["a", "b", "c"]),
            ("я и ты", &["я", "и", "ты"]),
        ];
        for (text, expected) in cases {
            let found: Vec<&str> = words(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_left_out_is_gone_and_nothing_else() {
        let text = "one, two three";
        assert_eq!(without(text, std::iter::once(0..3)), ", two three");
        assert_eq!(without(text, [0..3, 5..8]), ",  three");
        assert_eq!(without(text, std::iter::once(0..text.len())), NOTHING);
        assert_eq!(without(" one ", std::iter::once(1..4)), NOTHING);
        assert_eq!(without(text, []), text);
    }
}

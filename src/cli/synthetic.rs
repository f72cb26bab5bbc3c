//! A text to measure with: always the same, with paragraphs as long as those of news.

/// Words of the text, taken at random.
const WORDS: &[&str] = &[
    "Verhandlungen",
    "Regierung",
    "border",
    "ceasefire",
    "Minister",
    "Sanktionen",
    "talks",
    "troops",
    "said",
    "die",
    "der",
    "und",
    "the",
    "of",
    "against",
    "nach",
    "über",
    "Angaben",
    "spokesman",
    "parliament",
    "Abkommen",
    "export",
    "oil",
    "prices",
    "Dienstag",
    "Wochenende",
    "government",
    "officials",
    "zwischen",
    "beiden",
    "Ländern",
    "weiterhin",
    "deployed",
    "missiles",
    "warned",
    "agreed",
    "Vertreter",
    "Grenze",
    "Soldaten",
    "Konflikt",
    "Frieden",
    "peace",
    "mission",
    "summit",
    "Gipfel",
    "Handel",
    "tariffs",
    "energy",
    "Versorgung",
    "Hilfe",
    "aid",
    "convoy",
    "was",
    "were",
    "hat",
    "haben",
];
/// Median and 95th percentile of tokens in a paragraph of news.
const MEDIAN_TOKENS: f64 = 60.0;
const P95_TOKENS: f64 = 200.0;
/// The standard normal's 95th percentile.
const P95_NORMAL: f64 = 1.645;
/// Tokens that one of [`WORDS`] has on average in a multilingual vocabulary.
const TOKENS_PER_WORD: f64 = 1.5;
/// Longest paragraph, in tokens: the lognormal tail has no end.
const MAX_TOKENS: f64 = 1000.0;

/// `count` paragraphs with lognormal lengths.
pub(crate) fn paragraphs(count: usize) -> Vec<String> {
    let mut random = SplitMix(20_260_101);
    let sigma = (P95_TOKENS / MEDIAN_TOKENS).ln() / P95_NORMAL;
    let paragraph = |_| {
        let tokens = MEDIAN_TOKENS * (sigma * random.normal()).exp();
        let words = (tokens.min(MAX_TOKENS) / TOKENS_PER_WORD).round().max(1.0) as usize;
        let words: Vec<&str> = (0..words).map(|_| WORDS[random.below(WORDS.len())]).collect();
        words.join(" ") + "."
    };
    (0..count).map(paragraph).collect()
}

/// SplitMix64 (Steele, Lea, Flood 2014): good enough for lengths and words, and the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.uniform() * limit as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_news_and_always_the_same() {
        let text = paragraphs(2000);
        assert_eq!(text, paragraphs(2000));
        assert_eq!(text[..100], paragraphs(100), "a longer text opens with the shorter one");
        let mut words: Vec<usize> = text.iter().map(|paragraph| paragraph.split(' ').count()).collect();
        words.sort_unstable();
        let tokens = |share: f64| words[(share * words.len() as f64) as usize] as f64 * TOKENS_PER_WORD;
        assert!((54.0..66.0).contains(&tokens(0.5)), "median {}", tokens(0.5));
        assert!((180.0..220.0).contains(&tokens(0.95)), "95th percentile {}", tokens(0.95));
    }
}

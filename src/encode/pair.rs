//! Two texts in one sequence, as natural-language inference reads them.

use crate::encode::tokenizer::slices;
use crate::encode::{TextTokenizer, Window};
use crate::error::{BundleFault, Error, Result};

/// The special tokens around and between two texts, and the token types of the five parts.
pub(crate) struct PairFrame {
    before: Vec<u32>,
    between: Vec<u32>,
    after: Vec<u32>,
    types: [u32; 5],
    max_length: usize,
}

impl PairFrame {
    /// As the tokenizer's post-processor says.
    pub(crate) fn of(tokenizer: &TextTokenizer, max_length: usize) -> Result<Self, BundleFault> {
        let probe = tokenizer.probe_pair()?;
        let (ids, types) = (probe.get_ids(), probe.get_type_ids());
        let is_special = |index: &usize| probe.get_special_tokens_mask()[*index] == 1;
        let run = |from: usize, special: bool| {
            from + (from..ids.len()).take_while(|index| is_special(index) == special).count()
        };
        let first = run(0, true);
        let between = run(first, false);
        let second = run(between, true);
        let after = run(second, false);
        let kind = |index: usize| types.get(index).copied().unwrap_or(0);
        Ok(Self {
            before: ids[..first].to_vec(),
            between: ids[between..second].to_vec(),
            after: ids[after..].to_vec(),
            types: [kind(0), kind(first), kind(between), kind(second), kind(after)],
            max_length,
        })
    }

    fn special(&self) -> usize {
        self.before.len() + self.between.len() + self.after.len()
    }

    /// Most tokens of the second text: half of a window.
    pub(crate) fn longest_second(&self) -> usize {
        self.max_length.saturating_sub(self.special()) / 2
    }

    /// The pair in as many windows as the first text needs, each with the whole second text.
    ///
    /// # Errors
    /// [`Error::LongHypothesis`] if the second text takes more than half of a window.
    pub(crate) fn windows(&self, first: &[u32], second: &[u32]) -> Result<Vec<Window>> {
        let limit = self.longest_second();
        if second.len() > limit || limit == 0 {
            return Err(Error::LongHypothesis { tokens: second.len(), limit });
        }
        let capacity = self.max_length - self.special() - second.len();
        let window = |ids: &[u32], new_tokens| {
            let parts = [&self.before, ids, &self.between, second, &self.after];
            let types = parts.iter().zip(self.types).flat_map(|(part, kind)| std::iter::repeat_n(kind, part.len()));
            Window { ids: parts.concat(), type_ids: types.collect(), new_tokens }
        };
        let slices = slices(first.len(), capacity, (capacity * 3 / 4).max(1));
        Ok(slices.map(|slice| window(&first[slice.range.clone()], slice.new_tokens)).collect())
    }
}

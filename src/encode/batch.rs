//! Windows to batches: what one thread encodes at a time.
//!
//! Batches are never padded: an encoder takes each window at its own length, so that a window's vector depends on that
//! window alone. Sorting by length keeps the work of the batches even.

use crate::encode::Window;

/// Windows that are encoded together, in the order of their vectors.
#[derive(Debug)]
pub(crate) struct Batch<'w> {
    /// B windows.
    pub(crate) windows: Vec<&'w Window>,
    /// Where each window stood in the list that was batched.
    pub(crate) positions: Vec<usize>,
}

/// Sorts windows by length, longest first, and groups them up to `max_batch_tokens` a batch (one window at least).
pub(crate) fn batches<'w>(windows: &[&'w Window], max_batch_tokens: usize) -> Vec<Batch<'w>> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&position| std::cmp::Reverse(windows[position].ids.len()));
    let mut batches: Vec<Batch<'w>> = Vec::new();
    let mut tokens = 0;
    for position in order {
        let window = windows[position];
        tokens += window.ids.len();
        match batches.last_mut() {
            Some(batch) if tokens <= max_batch_tokens => {
                batch.windows.push(window);
                batch.positions.push(position);
            }
            _ => {
                tokens = window.ids.len();
                batches.push(Batch { windows: vec![window], positions: vec![position] });
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_is_in_one_batch_and_budgets_hold() {
        let lengths = [3usize, 90, 12, 12, 1, 50, 7, 200];
        let windows: Vec<Window> = lengths
            .iter()
            .map(|&length| Window { ids: vec![0; length], type_ids: Vec::new(), new_tokens: length })
            .collect();
        let list: Vec<&Window> = windows.iter().collect();
        for budget in [1, 60, 100, 1000] {
            let batches = batches(&list, budget);
            let mut positions: Vec<usize> = batches.iter().flat_map(|batch| batch.positions.clone()).collect();
            positions.sort_unstable();
            assert_eq!(positions, (0..lengths.len()).collect::<Vec<_>>(), "budget {budget}");
            for batch in &batches {
                let tokens: usize = batch.windows.iter().map(|window| window.ids.len()).sum();
                assert!(tokens <= budget || batch.windows.len() == 1, "budget {budget}: {tokens} tokens");
                for (window, &position) in batch.windows.iter().zip(&batch.positions) {
                    assert_eq!(window.ids.len(), lengths[position]);
                }
            }
        }
        assert!(batches(&[], 10).is_empty());
    }
}

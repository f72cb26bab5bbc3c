//! The encoder that is no transformer: a vector from a hash of the ids.
//!
//! It makes text, batching, output and long runs testable without arithmetic, and lets a bundle of a few kilobytes stand
//! in for a real one.

use crate::encode::Batch;
use crate::encoder::Encoder;
use crate::error::Result;

pub(crate) struct HashEncoder {
    hidden_size: usize,
}

impl HashEncoder {
    pub(crate) fn new(hidden_size: usize) -> Self {
        Self { hidden_size }
    }
}

impl Encoder for HashEncoder {
    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let vectors = batch.windows.iter().flat_map(|window| {
            // FNV-1a over the ids (Fowler, Noll, Vo), then one SplitMix64 step (Steele et al. 2014) for each number.
            let seed = window
                .ids
                .iter()
                .fold(0xcbf2_9ce4_8422_2325u64, |hash, &id| (hash ^ u64::from(id)).wrapping_mul(0x0100_0000_01b3));
            (1..=self.hidden_size as u64).map(move |index| {
                let mut bits = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                // 24 bits to [-1, 1): exact in f32.
                ((bits >> 40) as f32) / (1u32 << 23) as f32 - 1.0
            })
        });
        Ok(vectors.collect())
    }

    fn kernel(&self) -> &'static str {
        "hash (no transformer)"
    }
}

//! The reference: no instructions beyond those every CPU of the target has. It defines what the others must give.

use crate::kernels::pack::{BLOCK, FloatRows, GROUP, PANEL, PackedFloats};
use crate::kernels::portable::{self, AttentionScratch, FloatScratch, Lane};
use crate::kernels::{Finish, HeadLayout, Kernel, PackedLinear, QuantisedRows};

/// Runs everywhere.
pub(super) struct Scalar;

impl Kernel for Scalar {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn titles(&self) -> [&'static str; 2] {
        ["int8 scalar", "f32 scalar"]
    }

    fn is_fast(&self) -> bool {
        false
    }

    fn quantise(&self, x: &[f32], rows: &mut QuantisedRows) {
        portable::quantise::<Lane>(x, rows);
    }

    fn linear(&self, rows: &QuantisedRows, weights: &PackedLinear, finish: Finish<'_>, out: &mut [f32]) {
        let groups = weights.groups;
        for row in 0..rows.rows {
            let block = &rows.blocks[row / BLOCK * groups..(row / BLOCK + 1) * groups];
            let place = (row % BLOCK) * GROUP;
            for panel in 0..weights.totals.len() {
                let mut sums = [0; PANEL];
                for (activations, weights) in block.iter().zip(&weights.panels[panel * groups..(panel + 1) * groups]) {
                    for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<GROUP>().0) {
                        for index in 0..GROUP {
                            *sum += i32::from(activations[place + index]) * i32::from(weights[index]);
                        }
                    }
                }
                portable::write_lane::<Lane>(&sums, rows.steps[row], row, weights, panel, finish, out);
            }
        }
    }

    fn linear_f32(&self, x: &[f32], weights: &PackedFloats, finish: Finish<'_>, rows: &mut FloatRows, out: &mut [f32]) {
        portable::linear_f32::<Lane>(x, weights, finish, rows, out);
    }

    fn layer_norm(&self, x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
        portable::layer_norm::<Lane>(x, gain, bias, epsilon);
    }

    fn attention(&self, qkv: &[f32], layout: HeadLayout, scratch: &mut AttentionScratch, out: &mut [f32]) {
        portable::attention::<Lane>(qkv, layout, scratch, out);
    }

    fn attention_f32(&self, qkv: &[f32], layout: HeadLayout, scratch: &mut FloatScratch, out: &mut [f32]) {
        portable::attention_f32::<Lane>(qkv, layout, scratch, out);
    }

    fn fuse(&self, rounds: usize) -> (u64, f32) {
        portable::fuse::<Lane>(rounds)
    }
}

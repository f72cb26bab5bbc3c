//! The reference: no instructions beyond those every CPU of the target has. It defines what the others must give.

use crate::kernels::pack::{BLOCK, GROUP, PANEL};
use crate::kernels::portable::{self, AttentionScratch};
use crate::kernels::{HeadLayout, Kernel, PackedLinear, QuantisedRows};

/// Runs everywhere.
pub(super) struct Scalar;

impl Kernel for Scalar {
    fn name(&self) -> &'static str {
        "int8 scalar"
    }

    fn is_fast(&self) -> bool {
        false
    }

    fn quantise(&self, x: &[f32], rows: &mut QuantisedRows) {
        portable::quantise(x, rows);
    }

    fn linear(&self, rows: &QuantisedRows, weights: &PackedLinear, out: &mut [f32]) {
        let groups = weights.groups;
        for row in 0..rows.rows {
            let block = &rows.blocks[row / BLOCK * groups..(row / BLOCK + 1) * groups];
            let place = (row % BLOCK) * GROUP;
            for channel in 0..weights.outputs {
                let (panel, lane) = (channel / PANEL, channel % PANEL);
                let mut sum = weights.start[panel][lane];
                for (activations, weights) in block.iter().zip(&weights.panels[panel * groups..(panel + 1) * groups]) {
                    for index in 0..GROUP {
                        sum += i32::from(activations[place + index]) * i32::from(weights[lane * GROUP + index]);
                    }
                }
                let scale = rows.scales[row] * weights.scales[panel][lane];
                out[row * weights.outputs + channel] = (sum as f32).mul_add(scale, weights.bias[panel][lane]);
            }
        }
    }

    fn add_layer_norm(&self, x: &mut [f32], residual: &[f32], gain: &[f32], bias: &[f32], epsilon: f32) {
        portable::add_layer_norm(x, residual, gain, bias, epsilon);
    }

    fn gelu(&self, x: &mut [f32]) {
        portable::gelu(x);
    }

    fn attention(&self, qkv: &[f32], layout: HeadLayout, scratch: &mut AttentionScratch, out: &mut [f32]) {
        portable::attention::<[f32; portable::LANES]>(qkv, layout, scratch, out);
    }
}

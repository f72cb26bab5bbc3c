//! What the kernels with instructions of their own have in common.

use crate::kernels::pack::{BLOCK, PANEL};

/// Exact sums of one block of rows with some panels of channels: [panel][row][channel].
pub(super) type Sums<const PANELS: usize> = [[[i32; PANEL]; BLOCK]; PANELS];

/// Implements [`Kernel`] for a type: the float operations are [`crate::kernels::portable`] compiled with the named
/// instructions and `$register`; the matrix product runs `$tile::<PANELS>` over
/// `$panels` panels at a time.
macro_rules! kernel {
    ($type:ident, $name:literal, $features:literal, $panels:literal, $tile:ident, $register:ty $(, $more:item)?) => {
        impl crate::kernels::Kernel for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn titles(&self) -> [&'static str; 2] {
                [concat!("int8 ", $name), concat!("f32 ", $name)]
            }

            $($more)?

            fn quantise(&self, x: &[f32], rows: &mut QuantisedRows) {
                #[target_feature(enable = $features)]
                fn inner(x: &[f32], rows: &mut QuantisedRows) {
                    portable::quantise::<$register>(x, rows);
                }
                // SAFETY: a value of this type exists only where `new` found the features that `inner` needs.
                unsafe { inner(x, rows) }
            }

            fn linear(&self, rows: &QuantisedRows, weights: &PackedLinear, finish: Finish<'_>, out: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn inner(rows: &QuantisedRows, weights: &PackedLinear, finish: Finish<'_>, out: &mut [f32]) {
                    let count = weights.start.len();
                    let whole = count / $panels * $panels;
                    for panel in (0..whole).step_by($panels) {
                        columns::<$panels>(rows, weights, panel, finish, out);
                    }
                    for panel in whole..count {
                        columns::<1>(rows, weights, panel, finish, out);
                    }
                }
                #[inline]
                #[target_feature(enable = $features)]
                fn columns<const PANELS: usize>(
                    rows: &QuantisedRows,
                    weights: &PackedLinear,
                    panel: usize,
                    finish: Finish<'_>,
                    out: &mut [f32],
                ) {
                    let groups = weights.groups;
                    let panels: [&[_]; PANELS] =
                        std::array::from_fn(|offset| &weights.panels[(panel + offset) * groups..][..groups]);
                    let start: [_; PANELS] = std::array::from_fn(|offset| weights.start[panel + offset]);
                    for block in 0..rows.rows.div_ceil(BLOCK) {
                        let sums = $tile(&rows.blocks[block * groups..][..groups], &panels, &start);
                        let first = block * BLOCK;
                        for (offset, sums) in sums.iter().enumerate() {
                            for (row, sums) in sums.iter().enumerate().take(rows.rows - first) {
                                let (row, panel) = (first + row, panel + offset);
                                let step = rows.steps[row];
                                portable::write_lane::<$register>(sums, step, row, weights, panel, finish, out);
                            }
                        }
                    }
                }
                // SAFETY: as above.
                unsafe { inner(rows, weights, finish, out) }
            }

            fn linear_f32(
                &self,
                x: &[f32],
                weights: &PackedFloats,
                finish: Finish<'_>,
                rows: &mut FloatRows,
                out: &mut [f32],
            ) {
                #[target_feature(enable = $features)]
                fn inner(
                    x: &[f32],
                    weights: &PackedFloats,
                    finish: Finish<'_>,
                    rows: &mut FloatRows,
                    out: &mut [f32],
                ) {
                    portable::linear_f32::<$register>(x, weights, finish, rows, out);
                }
                // SAFETY: as above.
                unsafe { inner(x, weights, finish, rows, out) }
            }

            fn layer_norm(&self, x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
                #[target_feature(enable = $features)]
                fn inner(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
                    portable::layer_norm::<$register>(x, gain, bias, epsilon);
                }
                // SAFETY: as above.
                unsafe { inner(x, gain, bias, epsilon) }
            }

            fn attention(&self, qkv: &[f32], layout: HeadLayout, scratch: &mut AttentionScratch, out: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn inner(qkv: &[f32], layout: HeadLayout, scratch: &mut AttentionScratch, out: &mut [f32]) {
                    portable::attention::<$register>(qkv, layout, scratch, out);
                }
                // SAFETY: as above.
                unsafe { inner(qkv, layout, scratch, out) }
            }

            fn attention_f32(&self, qkv: &[f32], layout: HeadLayout, scratch: &mut FloatScratch, out: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn inner(qkv: &[f32], layout: HeadLayout, scratch: &mut FloatScratch, out: &mut [f32]) {
                    portable::attention_f32::<$register>(qkv, layout, scratch, out);
                }
                // SAFETY: as above.
                unsafe { inner(qkv, layout, scratch, out) }
            }

            fn fuse(&self, rounds: usize) -> (u64, f32) {
                #[target_feature(enable = $features)]
                fn inner(rounds: usize) -> (u64, f32) {
                    portable::fuse::<$register>(rounds)
                }
                // SAFETY: as above.
                unsafe { inner(rounds) }
            }
        }
    };
}

pub(super) use kernel;

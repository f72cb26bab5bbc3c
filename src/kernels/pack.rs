//! Layouts that the kernels read front to back: weights in panels of output channels, activations in blocks of rows.
//!
//! Floats: one number of K at a time, or two neighbours at a time in bf16, which `vdpbf16ps` multiplies and adds at once.
//!
//! Bytes: `vpdpbusd` and its kin multiply four neighbouring bytes of unsigned activations with four of signed weights and add
//! them to one 32-bit sum. So K is cut into groups of four. A row's bytes run from 0 for its least number to 255 for its
//! largest, and one of them stands for 0: number = step · byte + offset. So a row times a channel is
//! step · scale · Σ byte · w + offset · scale · Σ w, and Σ w is kept for each channel.

/// Output channels in one panel: the 32-bit lanes of a 512-bit register.
pub(crate) const PANEL: usize = 16;

/// Rows in one block: as many as a kernel keeps sums for.
pub(crate) const BLOCK: usize = 8;

/// Bytes of K that are multiplied and added at once.
pub(crate) const GROUP: usize = 4;

/// Weights (N, K) of a linear map, packed once when a bundle is opened.
pub(crate) struct PackedLinear {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Groups of four along K, the last filled up with zeros.
    pub(crate) groups: usize,
    /// [panel][group][channel in panel][byte in group]; N is filled up with zero channels.
    pub(crate) panels: Vec<[i8; PANEL * GROUP]>,
    /// Value of one step of each channel, one a channel of a panel.
    pub(crate) scales: Vec<[f32; PANEL]>,
    pub(crate) bias: Vec<[f32; PANEL]>,
    /// Σ w · scale of each channel.
    pub(crate) totals: Vec<[f32; PANEL]>,
    /// 128 · Σ w of each channel: where a kernel begins its sums that takes 128 from every byte to have it signed.
    pub(crate) start: Vec<[i32; PANEL]>,
}

impl PackedLinear {
    /// Packs row-major (N, K) int8 weights with a scale for each row, and a bias.
    pub(crate) fn pack(weights: &[i8], scales: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = scales.len();
        assert_eq!(weights.len(), outputs * inputs, "(N, K) weights");
        assert_eq!(bias.len(), outputs, "one bias a channel");
        let groups = inputs.div_ceil(GROUP);
        let panel_count = outputs.div_ceil(PANEL);
        let mut panels = vec![[0i8; PANEL * GROUP]; panel_count * groups];
        let mut totals = vec![[0.0; PANEL]; panel_count];
        let mut start = vec![[0i32; PANEL]; panel_count];
        for (channel, row) in weights.chunks_exact(inputs).enumerate() {
            let (panel, lane) = (channel / PANEL, channel % PANEL);
            for (group, bytes) in row.chunks(GROUP).enumerate() {
                let place = &mut panels[panel * groups + group][lane * GROUP..];
                place[..bytes.len()].copy_from_slice(bytes);
            }
            let total: i32 = row.iter().map(|&weight| i32::from(weight)).sum();
            totals[panel][lane] = total as f32 * scales[channel];
            start[panel][lane] = 128 * total;
        }
        Self { inputs, outputs, groups, panels, scales: panels_of(scales), bias: panels_of(bias), totals, start }
    }
}

/// Activations (M, K) as bytes, with step and offset of each row.
#[derive(Default)]
pub(crate) struct QuantisedRows {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) groups: usize,
    /// [block][group][row in block][byte in group]
    pub(crate) blocks: Vec<[u8; BLOCK * GROUP]>,
    /// One a row, M filled up to whole blocks.
    pub(crate) steps: Vec<Step>,
}

/// What the bytes of a row stand for: `number = size · byte + offset`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    pub(crate) size: f32,
    /// At most 0, a whole number of steps.
    pub(crate) offset: f32,
}

impl QuantisedRows {
    /// Makes room for (M, K) rows. Bytes that are no row's hold anything: those beyond K meet weights of zero, and sums of
    /// rows beyond M are not written.
    pub(crate) fn resize(&mut self, rows: usize, inputs: usize) {
        self.rows = rows;
        self.inputs = inputs;
        self.groups = inputs.div_ceil(GROUP);
        self.blocks.resize(rows.div_ceil(BLOCK) * self.groups, [128; BLOCK * GROUP]);
        self.steps.resize(rows.next_multiple_of(BLOCK), Step::default());
    }

    /// The byte of one number.
    #[cfg(test)]
    pub(crate) fn byte(&self, row: usize, k: usize) -> u8 {
        self.blocks[row / BLOCK * self.groups + k / GROUP][row % BLOCK * GROUP + k % GROUP]
    }
}

/// Numbers of K that are multiplied and added at once in bf16.
pub(crate) const PAIR: usize = 2;

/// Weights (N, K) of a linear map in f32, packed once when a bundle is opened.
pub(crate) struct PackedFloats {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// [panel][k][channel in panel]; N is filled up with zero channels.
    pub(crate) panels: Vec<[f32; PANEL]>,
    pub(crate) bias: Vec<[f32; PANEL]>,
}

impl PackedFloats {
    /// Packs row-major (N, K) weights and a bias.
    pub(crate) fn pack(weights: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weights.len(), outputs * inputs, "(N, K) weights");
        let mut panels = vec![[0.0; PANEL]; outputs.div_ceil(PANEL) * inputs];
        for (channel, row) in weights.chunks_exact(inputs).enumerate() {
            let (panel, lane) = (channel / PANEL, channel % PANEL);
            for (place, &weight) in panels[panel * inputs..].iter_mut().zip(row) {
                place[lane] = weight;
            }
        }
        Self { inputs, outputs, panels, bias: panels_of(bias) }
    }
}

/// Weights (N, K) of a linear map in bf16, packed once when a bundle is opened.
pub(crate) struct PackedBf16 {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// [panel][pair of K][channel in panel][number in pair]; N and K are filled up with zeros.
    pub(crate) panels: Vec<[u16; PANEL * PAIR]>,
    pub(crate) bias: Vec<[f32; PANEL]>,
}

impl PackedBf16 {
    /// Packs row-major (N, K) weights, rounded to bf16, and a bias.
    pub(crate) fn pack(weights: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weights.len(), outputs * inputs, "(N, K) weights");
        let pairs = inputs.div_ceil(PAIR);
        let mut panels = vec![[0; PANEL * PAIR]; outputs.div_ceil(PANEL) * pairs];
        for (channel, row) in weights.chunks_exact(inputs).enumerate() {
            let (panel, lane) = (channel / PANEL, channel % PANEL);
            for (place, pair) in panels[panel * pairs..].iter_mut().zip(row.chunks(PAIR)) {
                for (place, &weight) in place[lane * PAIR..].iter_mut().zip(pair) {
                    *place = to_bf16(weight);
                }
            }
        }
        Self { inputs, outputs, panels, bias: panels_of(bias) }
    }
}

/// The nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub(crate) fn to_bf16(number: f32) -> u16 {
    let bits = number.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    if number.is_nan() { (bits >> 16) as u16 | 1 } else { rounded }
}

/// One number a channel, in lanes of panels.
fn panels_of(numbers: &[f32]) -> Vec<[f32; PANEL]> {
    let mut panels = vec![[0.0; PANEL]; numbers.len().div_ceil(PANEL)];
    for (index, &number) in numbers.iter().enumerate() {
        panels[index / PANEL][index % PANEL] = number;
    }
    panels
}

/// Activations (M, K) as f32 or as pairs of bf16, in blocks of rows. Rows beyond M hold anything.
#[derive(Default)]
pub(crate) struct FloatRows {
    /// [block][k][row in block]
    pub(crate) floats: Vec<[f32; BLOCK]>,
    /// [block][pair of K][row in block], the first number of a pair in the low half.
    pub(crate) pairs: Vec<[u32; BLOCK]>,
}

//! Layouts that the kernels read front to back: weights in panels of output channels, activations in blocks of rows.
//!
//! `vpdpbusd` and its kin multiply four neighbouring bytes of unsigned activations with four of signed weights and add
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
        let lanes = |values: &[f32]| {
            let mut rows = vec![[0.0; PANEL]; panel_count];
            for (index, &value) in values.iter().enumerate() {
                rows[index / PANEL][index % PANEL] = value;
            }
            rows
        };
        Self { outputs, groups, panels, scales: lanes(scales), bias: lanes(bias), totals, start }
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

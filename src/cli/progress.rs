//! The progress bar of a long run: on stderr, only on a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(250);

/// Paragraphs done, rate, bytes of input done, time left.
pub(crate) struct Progress {
    bar: ProgressBar,
    paragraphs: u64,
    begun: Option<Instant>,
}

impl Progress {
    /// A bar for `total` bytes of input, without end if that is not known; invisible if asked for or not on a terminal.
    pub(crate) fn new(total: Option<u64>, is_hidden: bool) -> Self {
        let bar = match total {
            _ if is_hidden || !std::io::stderr().is_terminal() => ProgressBar::hidden(),
            total => ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(4)),
        };
        let template = match total {
            Some(_) => "{wide_bar} {bytes} of {total_bytes}, {msg}, {eta} left",
            None => "{spinner} {bytes}, {msg}, {elapsed} gone",
        };
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message("starting");
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, paragraphs: 0, begun: None }
    }

    /// The bar, for those who write across it.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// The work begins at this byte of the input; what came before says nothing about the rate.
    pub(crate) fn begin(&mut self, input_bytes: u64) {
        if self.begun.is_none() {
            self.begun = Some(Instant::now());
            self.bar.set_position(input_bytes);
            self.bar.reset_eta();
        }
    }

    /// So many more paragraphs are done, up to this byte of the input.
    pub(crate) fn advance(&mut self, paragraphs: usize, input_bytes: u64) {
        self.paragraphs += paragraphs as u64;
        self.bar.set_position(input_bytes);
        let seconds = self.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        let rate = self.paragraphs as f64 / seconds.max(1e-3);
        self.bar.set_message(format!("{} paragraphs, {rate:.0}/s", self.paragraphs));
    }
}

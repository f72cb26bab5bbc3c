//! How much a client may ask for, and for how long.

use std::time::Duration;

use crate::classifier::MAX_BATCH_TOKENS;

/// Longest timeout, so that every clock can hold its end. Nobody waits for it.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The limits of a server; timeouts of more than a year are a year. The defaults suit a machine with a few cores.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest body of a request after decompression, and largest line of a stream, in bytes.
    pub body_bytes: usize,
    /// Most texts, or paragraphs of a document, in one request.
    pub texts: usize,
    /// Bytes of text that requests may have in the queue together.
    pub queue_bytes: usize,
    /// Bytes of text that the readings of one explained request, or of one explained line of a stream, may have together.
    pub explain_bytes: usize,
    /// Tokens that one worker computes at a time.
    pub batch_tokens: usize,
    /// Most open connections; further ones wait until one is closed.
    pub connections: usize,
    /// Longest wait for the head of a request, also on a connection that is kept open.
    pub head_timeout: Duration,
    /// Longest wait for the whole body of a request; of a stream, for its next bytes.
    pub body_timeout: Duration,
    /// Longest time from a whole request to its answer; of a stream, for each of its lines.
    pub request_timeout: Duration,
    /// Longest wait for a client that does not take its answer.
    pub write_timeout: Duration,
    /// Longest time that a stop waits for what was accepted.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 2 << 20,
            texts: 4096,
            queue_bytes: 4 << 20,
            explain_bytes: 2 << 20,
            batch_tokens: MAX_BATCH_TOKENS,
            connections: 4096,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(90),
        }
    }
}

impl Limits {
    /// With timeouts that can be added to the time of day.
    pub(crate) fn bounded(mut self) -> Self {
        for timeout in [
            &mut self.head_timeout,
            &mut self.body_timeout,
            &mut self.request_timeout,
            &mut self.write_timeout,
            &mut self.stop_timeout,
        ] {
            *timeout = LONGEST.min(*timeout);
        }
        self
    }
}

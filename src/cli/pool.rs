//! Worker threads for what is computed outside the encoder.

use std::num::NonZeroUsize;

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// Runs `work` on as many threads as a flag says; without it on all cores.
///
/// # Errors
/// If the threads cannot be started.
pub(crate) fn install<T: Send>(
    threads: Option<u16>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, ThreadPoolBuildError> {
    let threads = threads.map(usize::from).and_then(NonZeroUsize::new);
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?.install(work))
}

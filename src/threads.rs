//! Worker threads that do independent jobs, each job wholly on one thread.
//!
//! Candle's matrix products spread themselves over the rayon pool they are called in, which for sentences costs more than
//! it gives. So each worker has a pool of its own with a single thread: products stay on their worker, workers run jobs
//! side by side.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::Result;

/// A fixed number of worker threads.
pub(crate) struct Threads {
    /// One pool of one thread a worker; at least one.
    workers: Vec<ThreadPool>,
}

impl Threads {
    /// Starts the workers.
    pub(crate) fn start(count: usize) -> Result<Self> {
        let worker =
            |index| ThreadPoolBuilder::new().num_threads(1).thread_name(move |_| format!("detente-{index}")).build();
        let workers = (0..count.max(1)).map(worker).collect::<Result<_, _>>()?;
        Ok(Self { workers })
    }

    /// Number of workers.
    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// Runs one job on one worker, which is counted from 0 and wraps around; waits while that worker is busy.
    #[cfg(feature = "serve")]
    pub(crate) fn run_on<T: Send>(&self, worker: usize, job: impl FnOnce() -> T + Send) -> T {
        self.workers[worker % self.workers.len()].install(job)
    }

    /// The results of jobs 0 to `jobs` - 1, in this order; an idle worker takes the next job.
    pub(crate) fn map<T: Send>(&self, jobs: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let take = || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            (index < jobs).then_some(index)
        };
        let work = || std::iter::from_fn(take).map(|index| (index, job(index))).collect::<Vec<_>>();
        let mut results: Vec<(usize, T)> = thread::scope(|scope| {
            let (first, others) = self.workers.split_at(1);
            let busy = others.iter().take(jobs.saturating_sub(1));
            let running: Vec<_> = busy.map(|worker| scope.spawn(|| worker.install(work))).collect();
            let mut results: Vec<_> = first.iter().flat_map(|worker| worker.install(work)).collect();
            for worker in running {
                match worker.join() {
                    Ok(more) => results.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            results
        });
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_number_of_workers() {
        for count in [0, 1, 2, 5] {
            let threads = Threads::start(count).unwrap();
            assert_eq!(threads.count(), count.max(1));
            for jobs in [0, 1, 2, 3, 100] {
                assert_eq!(
                    threads.map(jobs, |index| index * index),
                    (0..jobs).map(|index| index * index).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn a_worker_keeps_nested_parallel_work_to_itself() {
        let threads = Threads::start(3).unwrap();
        assert!(threads.map(20, |_| rayon::current_num_threads()).iter().all(|&count| count == 1));
    }
}

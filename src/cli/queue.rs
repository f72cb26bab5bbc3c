//! A queue between the reading thread and the classifying one, bounded by the bytes it holds.
//!
//! A bound on the number of items would let 64 documents of 100 MB pile up; this one always admits an item to an empty
//! queue, so that memory stays near `limit + the largest item`.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What [`Queue::pop`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Popped<T> {
    /// The next item.
    Item(T),
    /// Nothing within the time.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

/// First in, first out, between two threads.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    limit: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

impl<T> Queue<T> {
    /// Holds about `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State { items: VecDeque::new(), bytes: 0, closed: false };
        Self { limit, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Adds an item of `bytes` bytes, waiting for room. `false` when the queue is closed: stop producing.
    pub(crate) fn push(&self, item: T, bytes: usize) -> bool {
        let mut state = self.lock();
        while !state.closed && !state.items.is_empty() && state.bytes + bytes > self.limit {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return false;
        }
        state.bytes += bytes;
        state.items.push_back((item, bytes));
        self.changed.notify_all();
        true
    }

    /// Takes the oldest item, waiting for it no longer than `patience`.
    pub(crate) fn pop(&self, patience: Duration) -> Popped<T> {
        let mut state = self.lock();
        if state.items.is_empty() && !state.closed && !patience.is_zero() {
            let waited = self.changed.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match state.items.pop_front() {
            Some((item, bytes)) => {
                state.bytes -= bytes;
                self.changed.notify_all();
                Popped::Item(item)
            }
            None if state.closed => Popped::Closed,
            None => Popped::Nothing,
        }
    }

    /// Ends the exchange from either side; what is in the queue can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under the lock, so that a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn keeps_order_and_ends() {
        let queue = Queue::new(10);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..100 {
                    assert!(queue.push(number, 3));
                }
                queue.close();
            });
            let mut taken = Vec::new();
            loop {
                match queue.pop(SHORT) {
                    Popped::Item(number) => taken.push(number),
                    Popped::Nothing => {}
                    Popped::Closed => break,
                }
            }
            assert_eq!(taken, (0..100).collect::<Vec<_>>());
        });
    }

    #[test]
    fn admits_one_large_item_and_no_second() {
        let queue = Queue::new(10);
        assert!(queue.push('a', 1000));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| queue.push('b', 1));
            std::thread::sleep(SHORT);
            assert!(!second.is_finished(), "the queue is over its limit");
            assert_eq!(queue.pop(SHORT), Popped::Item('a'));
            assert!(second.join().unwrap());
        });
        assert_eq!(queue.pop(SHORT), Popped::Item('b'));
        assert_eq!(queue.pop(SHORT), Popped::Nothing);
    }

    #[test]
    fn a_closed_queue_wakes_and_refuses_the_producer() {
        let queue = Queue::new(1);
        assert!(queue.push('a', 1));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| queue.push('b', 1));
            queue.close();
            assert!(!second.join().unwrap());
        });
        assert_eq!(queue.pop(SHORT), Popped::Item('a'));
        assert_eq!(queue.pop(SHORT), Popped::Closed);
    }
}

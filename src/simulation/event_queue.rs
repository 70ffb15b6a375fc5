//! A queue of events with a virtual clock: only events move the time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::vocabulary::time::Instant;

/// Events in the order of their times. Events with the same time come in the order in which they
/// were added, so that a run repeats exactly.
#[derive(Debug)]
pub struct Queue<E> {
    events: BinaryHeap<Reverse<QueuedEvent<E>>>,
    added: u64,
}

#[derive(Debug)]
struct QueuedEvent<E> {
    at: Instant,
    number: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { events: BinaryHeap::new(), added: 0 }
    }
}

impl<E> Queue<E> {
    /// Adds an event at this time.
    pub fn add(&mut self, at: Instant, event: E) {
        self.added += 1;
        self.events.push(Reverse(QueuedEvent { at, number: self.added, event }));
    }

    /// Removes the next event. Returns its time and the event.
    pub fn take(&mut self) -> Option<(Instant, E)> {
        self.events.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl<E> Ord for QueuedEvent<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<E> PartialOrd for QueuedEvent<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for QueuedEvent<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for QueuedEvent<E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::at;

    #[test]
    fn events_come_by_time_and_then_as_they_were_added() {
        let mut queue = Queue::default();
        for (due, event) in [(3, "d"), (1, "a"), (2, "b"), (2, "c")] {
            queue.add(at(due), event);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(order, [(1, "a"), (2, "b"), (2, "c"), (3, "d")].map(|(due, event)| (at(due), event)));
    }
}

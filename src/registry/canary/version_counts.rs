//! What is counted of each version: requests, failures, fallbacks, and times.

use crate::vocabulary::time::Millis;

/// The number of cells for times.
const CELLS: usize = 32;
/// The logarithm (base 2) of the upper end of the first cell in milliseconds. There are two cells
/// for each doubling, so the last one begins after nine minutes.
const FIRST: u32 = 4;

/// The numbers of a version in a report.
pub const NUMBERS: usize = 3 + CELLS;

/// What is counted of a version. Requests whose clients left are not counted: they have no outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VersionCounts {
    /// Requests that have ended.
    pub requests: u64,
    /// Those whose client got an error, or a stream that broke.
    pub failed: u64,
    /// Those with an attempt that failed.
    pub fell_back: u64,
    /// The others than those that failed, by the time until their answer began.
    times: [u64; CELLS],
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedEnd {
    /// Whether the client got an error, or a stream that broke.
    pub has_failed: bool,
    /// Whether an attempt failed.
    pub fell_back: bool,
    /// The time until its answer began.
    pub after_ms: Millis,
}

impl VersionCounts {
    /// All numbers, in their order in a report.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        [self.requests, self.failed, self.fell_back].into_iter().chain(self.times)
    }

    /// The counts with these numbers. Missing ones are 0.
    pub fn of_numbers(mut numbers: impl Iterator<Item = u64>) -> Self {
        let mut next = || numbers.next().unwrap_or_default();
        let (requests, failed, fell_back) = (next(), next(), next());
        Self { requests, failed, fell_back, times: [(); CELLS].map(|()| next()) }
    }

    /// Counts a request.
    pub fn count(&mut self, end: &CountedEnd) {
        self.requests += 1;
        self.failed += u64::from(end.has_failed);
        self.fell_back += u64::from(end.fell_back);
        if !end.has_failed
            && let Some(cell) = self.times.get_mut(cell_of(end.after_ms))
        {
            *cell += 1;
        }
    }

    /// What has come since an earlier state of the same counts.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut times = self.times;
        for (cell, before) in times.iter_mut().zip(before.times) {
            *cell = cell.saturating_sub(before);
        }
        Self {
            requests: self.requests.saturating_sub(before.requests),
            failed: self.failed.saturating_sub(before.failed),
            fell_back: self.fell_back.saturating_sub(before.fell_back),
            times,
        }
    }

    /// Adds the counts of others.
    pub fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.failed = self.failed.saturating_add(more.failed);
        self.fell_back = self.fell_back.saturating_add(more.fell_back);
        for (cell, more) in self.times.iter_mut().zip(more.times) {
            *cell = cell.saturating_add(more);
        }
    }

    /// Requests with a time.
    pub fn timed(&self) -> u64 {
        self.times.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The first cell up to which `percent` of the times lie; `None` without times.
    pub fn percentile_cell(&self, percent: u64) -> Option<usize> {
        let (all, mut seen) = (self.timed(), 0_u64);
        self.times.iter().position(|count| {
            seen = seen.saturating_add(*count);
            seen > 0 && seen.saturating_mul(100) >= all.saturating_mul(percent)
        })
    }

    /// The upper end of that cell in milliseconds.
    pub fn percentile_ms(&self, percent: u64) -> Option<u64> {
        self.percentile_cell(percent).map(end_of)
    }

    /// The number of times in later cells than this one.
    pub fn slower_than(&self, cell: usize) -> u64 {
        self.times.iter().skip(cell + 1).fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// The cell of a time. The upper ends are 16 ms, 24, 32, 48, 64, 96 and so on, exclusive.
fn cell_of(after_ms: Millis) -> usize {
    let Some(power) = after_ms.get().checked_ilog2().filter(|power| *power >= FIRST) else { return 0 };
    let is_upper_half = after_ms.get() >> (power - 1) & 1 == 1;
    let cell = 1 + 2 * (power - FIRST) as usize + usize::from(is_upper_half);
    cell.min(CELLS - 1)
}

fn end_of(cell: usize) -> u64 {
    (2 + cell as u64 % 2) << (cell / 2) << (FIRST - 1)
}

#[cfg(test)]
mod tests {
    use super::{CountedEnd, VersionCounts, cell_of, end_of};
    use crate::vocabulary::time::Millis;

    fn served(after_ms: u64) -> CountedEnd {
        CountedEnd { has_failed: false, fell_back: false, after_ms: Millis::new(after_ms) }
    }

    #[test]
    fn each_time_lies_below_the_end_of_its_cell_and_not_below_that_of_the_cell_before() {
        for ms in (0..2_000).chain([9_999, 100_000, 393_215]) {
            let cell = cell_of(Millis::new(ms));
            assert!(ms < end_of(cell), "{ms} in {cell}");
            assert!(cell == 0 || ms >= end_of(cell - 1), "{ms} in {cell}");
        }
        assert_eq!((end_of(0), end_of(1), end_of(2), end_of(3)), (16, 24, 32, 48));
        assert_eq!(cell_of(Millis::MAX), 31);
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let mut counts = VersionCounts::default();
        assert_eq!(counts.percentile_ms(50), None);
        for ms in 0..100 {
            counts.count(&served(ms * 10));
        }
        counts.count(&CountedEnd { has_failed: true, fell_back: true, after_ms: Millis::new(60_000) });
        assert_eq!(counts.percentile_ms(50), Some(512));
        assert_eq!(counts.percentile_ms(95), Some(1_024));
        assert_eq!(counts.slower_than(counts.percentile_cell(50).unwrap()), 48);
        assert_eq!((counts.requests, counts.failed, counts.fell_back, counts.timed()), (101, 1, 1, 100));
    }

    #[test]
    fn what_came_since_an_earlier_state_adds_up_to_the_later_one() {
        let mut before = VersionCounts::default();
        before.count(&served(100));
        let mut after = before;
        after.count(&served(5));
        after.count(&CountedEnd { has_failed: true, fell_back: false, after_ms: Millis::ZERO });
        let mut sum = before;
        sum.add(&after.since(&before));
        assert_eq!(sum, after);
        // An older report that arrives later adds nothing.
        assert_eq!(before.since(&after), VersionCounts::default());
    }
}

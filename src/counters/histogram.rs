//! Histograms of durations: the cells of a series.

use crate::vocabulary::time::Millis;

/// The upper bounds of the buckets, inclusive, in milliseconds. One layout serves whole requests,
/// attempts and first tokens: they lie between an embedding (50 ms) and an answer with much
/// reasoning (10 minutes). The buckets are narrow between half a second and half a minute, where
/// answers and first tokens of chat models lie, and where people set thresholds.
pub const BOUNDS_MS: [u64; 19] = [
    50, 100, 250, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 60_000,
    120_000, 300_000, 600_000,
];

/// The cells of a histogram: the sum in milliseconds, then the number in each bucket, and the
/// number beyond the last bound.
pub(super) const CELLS: usize = BOUNDS_MS.len() + 2;

/// The cell that counts a duration.
pub(super) fn cell_of(duration_ms: Millis) -> usize {
    1 + BOUNDS_MS.partition_point(|bound| *bound < duration_ms.get())
}

//! Short names for points in time and for lengths.

use switchyard::vocabulary::time::{Instant, Millis};

/// So many milliseconds.
pub const fn ms(ms: u64) -> Millis {
    Millis::new(ms)
}

/// The point so many milliseconds after the epoch.
pub const fn at(ms: u64) -> Instant {
    Instant::from_epoch_ms(ms)
}

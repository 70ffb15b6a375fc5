//! Waits for a time.

use super::clock::now;
use super::host;
use super::wait::Wait;
use crate::vocabulary::time::{Instant, Millis};

/// Timers of the runtime count in 32 bits. No wait here is longer than a day.
const LONGEST_TIMER_MS: Millis = Millis::new(86_400_000);

/// Waits until this time.
pub async fn sleep_until(at: Instant) {
    while now() < at {
        let after_ms = (at - now()).min(LONGEST_TIMER_MS);
        Timer::start(u32::try_from(after_ms.get()).unwrap_or(u32::MAX)).elapse().await;
    }
}

/// A timer of the runtime. Dropping it cancels it.
struct Timer(Wait);

impl Timer {
    fn start(ms: u32) -> Self {
        Self(Wait::begin(|wait| host::arm(wait, ms)))
    }

    async fn elapse(mut self) {
        // A timer cannot fail.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        host::disarm(self.0.number());
    }
}

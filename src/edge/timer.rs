//! Waits for a time.

use super::clock::now;
use super::host::{Timers, since_epoch};
use super::wait::Wait;
use crate::vocabulary::time::Instant;

/// Waits until this time.
pub async fn sleep_until(timers: &Timers, at: Instant) {
    if now() < at {
        Timer { timers, wait: Wait::begin(|wait| timers.arm(wait, since_epoch(at))) }.elapse().await;
    }
}

/// A wait for a time. Dropping it cancels it.
struct Timer<'a> {
    timers: &'a Timers,
    wait: Wait,
}

impl Timer<'_> {
    async fn elapse(mut self) {
        // A timer cannot fail.
        let _ = (&mut self.wait).await;
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.timers.disarm(self.wait.number());
    }
}

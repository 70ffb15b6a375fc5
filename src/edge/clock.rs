//! The only module that reads the clock.

use std::cell::Cell;

use worker::js_sys;

use crate::vocabulary::time::Instant;

thread_local! {
    static NOW: Cell<Instant> = const { Cell::new(Instant::EPOCH) };
}

/// The current time. The runtime's clock does not advance between two waits
/// (<https://developers.cloudflare.com/workers/reference/security-model/>), so it is read once for
/// each poll of a task ([`super::tasks::timed`]).
pub fn now() -> Instant {
    NOW.get()
}

/// Reads the clock.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
pub fn read() {
    NOW.set(Instant::from_epoch_ms(js_sys::Date::now() as u64));
}

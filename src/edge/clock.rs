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

/// 64 random bits, as a seed for a generator.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any bits will do")]
pub fn seed() -> u64 {
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    (half() << 32) ^ half() ^ now().epoch_ms()
}

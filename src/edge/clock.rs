//! The one place that reads the clock.

use std::cell::Cell;

use worker::js_sys;

use crate::vocabulary::time::Millis;

thread_local! {
    static NOW: Cell<Millis> = const { Cell::new(0) };
}

/// Now. The runtime's clock stands still between two waits (<https://developers.cloudflare.com/workers/reference/security-model/>),
/// so it is read once for each poll of a task ([`super::tasks::timed`]).
pub fn now() -> Millis {
    NOW.get()
}

/// Reads the clock.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
pub fn read() {
    NOW.set(js_sys::Date::now() as Millis);
}

/// 64 random bits, to seed a generator with.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any bits will do")]
pub fn seed() -> u64 {
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    (half() << 32) ^ half() ^ now()
}

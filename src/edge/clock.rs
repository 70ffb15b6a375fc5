//! The one place that reads the clock, and that waits for it.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;

use worker::js_sys;

use super::host;
use super::wait::Wait;
use crate::vocabulary::time::Millis;

/// Timers of the runtime count in 32 bits; a day is longer than anything here may last.
const LONGEST_TIMER_MS: Millis = 86_400_000;

thread_local! {
    static NOW: Cell<Millis> = const { Cell::new(0) };
    /// How many tasks there are.
    static TASKS: Cell<usize> = const { Cell::new(0) };
}

/// Now. The runtime's clock stands still between two waits (<https://developers.cloudflare.com/workers/reference/security-model/>),
/// so it is read once for each poll of a task ([`timed`]).
pub fn now() -> Millis {
    NOW.get()
}

/// A task: it reads the clock each time that it goes on.
pub async fn timed<T>(task: impl Future<Output = T>) -> T {
    let _counted = Counted::new();
    let mut task = pin!(task);
    poll_fn(|context| {
        read();
        task.as_mut().poll(context)
    })
    .await
}

/// How many tasks have not ended.
pub fn task_count() -> usize {
    TASKS.get()
}

/// Counts a task while it lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        TASKS.set(TASKS.get() + 1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        TASKS.set(TASKS.get().saturating_sub(1));
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
fn read() {
    NOW.set(js_sys::Date::now() as Millis);
}

/// 64 random bits, to seed a generator with.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any bits will do")]
pub fn seed() -> u64 {
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    (half() << 32) ^ half() ^ now()
}

/// Ends at that time.
pub async fn sleep_until(at: Millis) {
    while now() < at {
        let after_ms = at.saturating_sub(now()).min(LONGEST_TIMER_MS);
        Timer::start(u32::try_from(after_ms).unwrap_or(u32::MAX)).ring().await;
    }
}

/// A timer of the runtime. Dropped, it does not ring.
struct Timer(Wait);

impl Timer {
    fn start(ms: u32) -> Self {
        Self(Wait::begin(|wait| host::arm(wait, ms)))
    }

    async fn ring(mut self) {
        // A timer cannot fail.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        host::disarm(self.0.number());
    }
}

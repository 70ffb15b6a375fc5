//! The one place that reads the clock and waits.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::task;
use crate::vocabulary::time::Millis;

thread_local! {
    static NOW: Cell<Millis> = const { Cell::new(0) };
}

/// Now. The runtime's clock stands still between two waits (<https://developers.cloudflare.com/workers/reference/security-model/>), so it
/// is read once in each.
pub fn now() -> Millis {
    NOW.get()
}

/// Reads the clock.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
pub fn read() {
    NOW.set(js_sys::Date::now() as Millis);
}

/// Waits.
pub async fn sleep(ms: Millis) {
    let _: Option<()> = until(now().saturating_add(ms), pending()).await;
}

/// The result of `future`, or `None` at the time `at`.
pub async fn until<T>(at: Millis, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if now() >= at {
            return Poll::Ready(None);
        }
        task::wake_by(at);
        Poll::Pending
    })
    .await
}

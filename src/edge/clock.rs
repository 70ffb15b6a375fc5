//! The one place that reads the clock and waits.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::time::Millis;

/// Now. The runtime's clock stands still between two waits: <https://developers.cloudflare.com/workers/reference/security-model/>
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
pub fn now() -> Millis {
    js_sys::Date::now() as Millis
}

/// Waits.
pub async fn sleep(ms: Millis) {
    worker::Delay::from(Duration::from_millis(ms.min(MAX_WAIT_MS))).await;
}

/// The result of `future`, or `None` at the time `at`.
pub async fn until<T>(at: Millis, future: impl Future<Output = T>) -> Option<T> {
    let future = pin!(future);
    let delay = pin!(sleep(at.saturating_sub(now())));
    match select(future, delay).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

/// Timers count in 32 bits; a day is longer than anything here may last.
const MAX_WAIT_MS: Millis = 86_400_000;

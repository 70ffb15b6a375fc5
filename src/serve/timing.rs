//! Waits with a time limit.

use std::pin::pin;

use futures::future::{Either, select};

use super::platform::Clock;
use crate::vocabulary::time::{Instant, Millis};

/// How often a request looks whether the work of another request has ended: at first, and at last.
/// No request can be woken by another one, so each has a timer of its own.
const LOOK_MS: (Millis, Millis) = (Millis::new(2), Millis::new(50));

/// The output of `work`, or `None` if the time `at` is reached first.
pub async fn until<C: Clock, T>(clock: &C, at: Instant, work: impl Future<Output = T>) -> Option<T> {
    let work = pin!(work);
    if clock.now() >= at {
        // A result that is already available is not late.
        return futures::FutureExt::now_or_never(work);
    }
    match select(work, pin!(clock.sleep_until(at))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

/// Waits for `ms` milliseconds.
pub async fn sleep<C: Clock>(clock: &C, ms: Millis) {
    clock.sleep_until(clock.now() + ms).await;
}

/// Waits before the next look at the work of another request. A long wait has rarer looks.
pub async fn look_again<C: Clock>(clock: &C, began_at: Instant) {
    let (first, last) = LOOK_MS;
    sleep(clock, ((clock.now() - began_at) / 8).clamp(first, last)).await;
}

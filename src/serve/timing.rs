//! Waits with a time limit.

use std::pin::pin;

use futures::future::{Either, select};

use super::platform::Clock;
use crate::vocabulary::time::{Instant, Millis};

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

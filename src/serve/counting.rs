//! Counts finished requests in the isolate, and sends what waits when the isolate falls idle.
//!
//! Counters go to the shard with the reports about health that go anyway (`object_reports`). An
//! isolate whose next request comes much later, or never, has no such report. So the request that
//! first leaves something to send also begins work in its background, which waits for such a
//! report, and makes one if none comes.

use super::isolate_memory::Isolate;
use super::platform::Platform;
use crate::counters::{FinishedAttempt, FinishedRequest};
use crate::vocabulary::time::{Instant, Millis};

/// How long the last report of such work may be waited for. With it and its answer, the work ends
/// within the 30 seconds that the runtime allows.
const LAST_MS: Millis = Millis::new(2_000);

/// Work in the background that waits to send counters. It belongs to the isolate, not to the
/// request that began it.
pub(super) struct RunningFlush<P: Platform>(pub(super) P);

impl<P: Platform> RunningFlush<P> {
    /// Begins such work.
    pub(super) fn begin(platform: &P) -> Self {
        let flushes = &platform.isolate().flushes;
        flushes.set(flushes.get() + 1);
        Self(platform.clone())
    }
}

impl<P: Platform> Drop for RunningFlush<P> {
    fn drop(&mut self) {
        let flushes = &self.0.isolate().flushes;
        flushes.set(flushes.get().saturating_sub(1));
    }
}

impl Isolate {
    /// Counts a request that has ended, with its attempts in their order.
    pub fn count<'a, P: Platform>(
        &self,
        platform: &P,
        request: &FinishedRequest<'a>,
        attempts: impl IntoIterator<Item = FinishedAttempt<'a>>,
    ) {
        let now = platform.now();
        self.counters.borrow_mut().on_request(request, attempts, now);
        // Without a link there is nobody to send it to.
        if self.link.borrow().is_none() {
            return;
        }
        let begun = self.counters.borrow_mut().begin_flush(now);
        if let Some(until) = begun {
            let running = RunningFlush::begin(platform);
            platform.in_background(async move {
                let platform = &running.0;
                platform.isolate().flush(platform, until).await;
            });
        }
    }

    /// Sends what waits, when it should not wait any longer and no report has taken it. What would
    /// have to wait for longer than this work may run goes at its end.
    async fn flush<P: Platform>(&self, platform: &P, until: Instant) {
        while let Some(at) = self.flush_at() {
            let now = platform.now();
            if now < at.min(until) {
                platform.sleep_until(at.min(until)).await;
            } else if at <= until {
                self.report_and_wait(platform).await;
            } else {
                self.counters.borrow_mut().hasten();
                if let Some(at) = self.flush_at().filter(|at| *at <= until + LAST_MS) {
                    platform.sleep_until(at).await;
                    self.report_and_wait(platform).await;
                }
                break;
            }
        }
        self.counters.borrow_mut().end_flush(until);
    }

    /// When to send what waits. A report that is not due yet is waited for, so that the shard gets
    /// no more reports than it wants.
    fn flush_at(&self) -> Option<Instant> {
        let at = self.counters.borrow().flush_at()?;
        let (routes, link) = (self.current()?, self.link.borrow());
        Some(link.as_ref()?.reporter.due_at(&routes.health.borrow()).max(at))
    }
}

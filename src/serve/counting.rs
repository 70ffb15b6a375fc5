//! Counts finished requests in the isolate, and sends what waits when the isolate falls idle.
//!
//! Counters go to the shard with the reports about health that go anyway (`object_reports`). An
//! isolate whose next request comes much later, or never, has no such report. So the request that
//! first leaves something to send also begins work in its background, which waits for such a
//! report, and makes one if none comes.

use super::isolate_memory::Isolate;
use super::platform::Platform;
use crate::counters::{FinishedAttempt, FinishedRequest};
use crate::vocabulary::time::Instant;

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
        if self.link.borrow().is_some()
            && let Some(until) = self.counters.borrow_mut().begin_flush(now)
        {
            let background = platform.clone();
            platform.in_background(async move { background.isolate().flush(&background, until).await });
        }
    }

    /// Sends what waits, when it should not wait any longer and no report has taken it.
    async fn flush<P: Platform>(&self, platform: &P, until: Instant) {
        while let Some(at) = self.flush_at().filter(|at| *at <= until) {
            if platform.now() < at {
                platform.sleep_until(at).await;
            } else {
                self.report_and_wait(platform).await;
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

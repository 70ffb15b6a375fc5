//! The leases of an isolate at one ledger, and when to report to it.

use crate::limits::isolate_limits::IsolateLimits;
use crate::vocabulary::time::{Instant, Millis};

/// The leases of this isolate at one ledger.
pub(super) struct LedgerLink {
    pub(super) limits: IsolateLimits,
    /// When the ledger expects the next report.
    pub(super) next_at: Instant,
    /// Until when the report that is under way may be answered.
    pub(super) asking_until: Option<Instant>,
    /// Whether the latest report was not answered, and when.
    pub(super) failed_at: Option<Instant>,
    /// Since when the ledger does not know something that was used.
    pub(super) unsettled_since: Option<Instant>,
    /// Until when work in the background may be silent that reports when nobody else does.
    pub(super) reporting_until: Instant,
}

impl LedgerLink {
    /// A link that has not reported. `holder`: a random number, which is the isolate's name at the
    /// ledger.
    pub(super) fn new(holder: u64) -> Self {
        Self {
            limits: IsolateLimits::new(holder),
            next_at: Instant::MAX,
            asking_until: None,
            failed_at: None,
            unsettled_since: None,
            reporting_until: Instant::EPOCH,
        }
    }

    /// When to report if no request does: what was used is reported after `settled_ms`.
    pub(super) fn due_at(&self, settled_ms: Millis) -> Instant {
        let settled_at = self.unsettled_since.map_or(Instant::MAX, |since| since + settled_ms);
        self.next_at.min(settled_at)
    }
}

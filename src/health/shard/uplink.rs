//! Where a shard stands with the hub.

use crate::vocabulary::time::Instant;

/// Where the shard stands with the hub.
#[derive(Debug, Clone, Default)]
pub(super) struct Uplink {
    pub(super) n: u64,
    /// A report is under way since.
    pub(super) sent_at: Option<Instant>,
    /// When the next one is due that brings no news.
    pub(super) poll_at: Instant,
    /// When one may go that brings news.
    pub(super) not_before: Instant,
    /// An isolate has reported since the latest poll.
    pub(super) has_new_reports: bool,
}

impl Uplink {
    pub(super) fn on_report(&mut self) {
        self.has_new_reports = true;
    }
}

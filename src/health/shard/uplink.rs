//! The state of a shard's reports to the hub.

use crate::vocabulary::time::Instant;

/// The state of the shard's reports to the hub.
#[derive(Debug, Clone, Default)]
pub(super) struct Uplink {
    pub(super) n: u64,
    /// When the report under way was sent.
    pub(super) sent_at: Option<Instant>,
    /// When the next report without facts is due.
    pub(super) poll_at: Instant,
    /// The earliest time of the next report with facts.
    pub(super) not_before: Instant,
    /// When the alarm of the object rings, if it is set.
    pub(super) alarm_at: Option<Instant>,
    /// An isolate has reported since the latest poll.
    pub(super) has_new_reports: bool,
}

impl Uplink {
    pub(super) fn on_report(&mut self) {
        self.has_new_reports = true;
    }
}

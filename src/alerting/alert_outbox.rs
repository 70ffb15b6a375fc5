//! The alerts that wait until all webhooks have taken them, and which isolate sends each.
//!
//! Invariants:
//! - An alert is given to one isolate at a time. It is given again only if not all webhooks took it
//!   within a growing time, and at most [`MAX_TRIES`] times.
//! - At most [`MAX_ALERTS`] wait.

use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertReceipt};
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::time::{Instant, Millis};

/// How often an alert is given to an isolate.
pub const MAX_TRIES: u32 = 8;

/// How long the first isolate has time. It doubles with every try.
pub const FIRST_WAIT_MS: Millis = Millis::new(15_000);

/// How long after that another isolate than the latest one is preferred.
const OTHERS_FIRST_MS: Millis = Millis::new(10_000);

/// An alert that is older is not given any more.
const STALE_MS: Millis = Millis::new(3_600_000);

/// The most alerts that wait. With more, the oldest one is dropped.
pub const MAX_ALERTS: usize = 256;

/// The most alerts in one answer: each means a call for each webhook.
const MAX_GIVEN: usize = 2;

/// The alerts that wait. It is stored as it is: a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertOutbox(Vec<WaitingAlert>);

/// An alert that not all webhooks have taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WaitingAlert {
    alert: Alert,
    at: Instant,
    tries: u32,
    /// Who got it last.
    holder: PeerId,
    /// When it may be given again.
    again_at: Instant,
}

impl AlertOutbox {
    /// Whether no alert waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an alert.
    pub fn add(&mut self, alert: Alert, at: Instant) {
        if self.0.len() >= MAX_ALERTS {
            self.0.remove(0);
        }
        let holder = PeerId::default();
        self.0.push(WaitingAlert { alert, at, tries: 0, holder, again_at: Instant::EPOCH });
    }

    /// Drops what is too old, or was tried too often. Returns whether there was something.
    pub fn drop_old(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|waiting| {
            let is_spent = waiting.tries >= MAX_TRIES && now >= waiting.again_at;
            !is_spent && now - waiting.at < STALE_MS
        });
        self.0.len() < before
    }

    /// Gives alerts of these kinds to an isolate, which then has some time to send them.
    pub fn give(&mut self, kinds: &[AlertKind], reporter: PeerId, now: Instant) -> Vec<Alert> {
        let is_for_it = |waiting: &WaitingAlert| {
            let others_first = waiting.holder == reporter && now < waiting.again_at + OTHERS_FIRST_MS;
            let is_due = now >= waiting.again_at && waiting.tries < MAX_TRIES;
            is_due && (waiting.tries == 0 || !others_first) && kinds.contains(&waiting.alert.kind)
        };
        let mut given = Vec::new();
        for waiting in self.0.iter_mut().filter(|waiting| is_for_it(waiting)).take(MAX_GIVEN) {
            waiting.again_at = now + (FIRST_WAIT_MS << waiting.tries);
            waiting.tries += 1;
            waiting.holder = reporter;
            given.push(waiting.alert.clone());
        }
        given
    }

    /// A webhook has taken an alert. Returns whether that changes something.
    pub fn on_taken(&mut self, receipt: &AlertReceipt) -> bool {
        let AlertReceipt { id, webhook, of } = receipt;
        let Some(waiting) = self.0.iter_mut().find(|waiting| waiting.alert.id == *id) else { return false };
        let taken = &mut waiting.alert.taken;
        let is_new = of.contains(webhook) && !taken.contains(webhook);
        if is_new {
            // Webhooks that the document no longer has do not count.
            taken.retain(|taken| of.contains(taken));
            taken.push(webhook.clone());
        }
        let is_done = of.iter().all(|webhook| taken.contains(webhook));
        if is_done {
            self.0.retain(|waiting| waiting.alert.id != *id);
        }
        is_new || is_done
    }
}

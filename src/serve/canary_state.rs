//! A canary in an isolate: the version that serves a share of the requests, and what is counted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::serving::Serving;
use crate::registry::canary::canary_tally::CanaryTally;
use crate::registry::canary::canary_trial::CanaryTerms;
use crate::vocabulary::time::Instant;

/// A canary in this isolate.
pub(super) struct CanaryServing {
    /// The terms.
    pub(super) terms: CanaryTerms,
    /// The new version.
    pub(super) serving: Rc<Serving>,
    /// The hash of the version that serves the rest.
    pub(super) base: u64,
    /// What was counted here.
    pub(super) tally: RefCell<CanaryTally>,
    /// Until when the store may still show what it had before: no note, or an older one. Then it
    /// does not end the canary. The answers to reports do, whatever the store shows.
    pub(super) retained_until: Instant,
    /// Until when work in the background reports.
    pub(super) reporting_until: Cell<Instant>,
}

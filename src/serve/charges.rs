//! What is charged for attempts that were dropped.

use std::cell::RefCell;

use crate::stream::hold::Hold;
use crate::usage::basis::UsageBasis;
use crate::vocabulary::usage::Usage;

/// What providers charge for streams that were held when their attempts were dropped, each with the
/// number of the attempt.
#[derive(Debug, Default)]
pub struct Charges(RefCell<Vec<(u32, Usage)>>);

impl Charges {
    /// Takes all of them.
    pub(super) fn take(&self) -> Vec<(u32, Usage)> {
        self.0.take()
    }
}

/// A stream that is held. If it is dropped before its verdict (the client left, or another attempt
/// was faster), what came of it is charged.
pub(super) struct HeldStream<'a> {
    pub(super) gathered: &'a mut Hold,
    pub(super) basis: UsageBasis,
    pub(super) number: u32,
    pub(super) charges: &'a Charges,
    pub(super) has_verdict: bool,
}

impl Drop for HeldStream<'_> {
    fn drop(&mut self) {
        if let Some(used) = self.gathered.charged(&self.basis).filter(|_| !self.has_verdict) {
            self.charges.0.borrow_mut().push((self.number, used));
        }
    }
}

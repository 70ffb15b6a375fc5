//! The alert about a canary that the gateway has taken back: what it says, and when it is tried
//! again.
//!
//! Invariant: a try is counted before it is made, so an alert is sent at most [`MAX_TRIES`] times
//! to a receiver, whatever happens meanwhile.

use serde::{Deserialize, Serialize};

use super::canary_trial::CanaryTerms;
use crate::alerting::alert_outbox::{FIRST_WAIT_MS, MAX_TRIES};
use crate::registry::version_ledger::{RegistryStorage, RowKind};
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::Instant;

/// An alert that not all receivers have taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryAlert {
    /// The version that was taken back.
    pub version: String,
    /// The version that serves.
    pub base: String,
    /// Why.
    pub why: String,
    /// When it was taken back.
    pub at: Instant,
    /// The receivers that have taken it.
    pub taken: Vec<String>,
    tries: u32,
    again_at: Instant,
}

/// The alerts that wait, over a storage. Each has the number of its canary.
#[derive(Debug)]
pub struct CanaryAlerts<'a, S>(pub &'a S);

impl<S: RegistryStorage> CanaryAlerts<'_, S> {
    fn waiting(&self) -> Result<Vec<(u64, CanaryAlert)>, S::Error> {
        let rows = self.0.rows(RowKind::CanaryAlert, 0, u64::MAX)?;
        Ok(rows.iter().filter_map(|(number, text)| Some((*number, json_value::parse(text)?))).collect())
    }

    fn save(&self, number: u64, alert: &CanaryAlert) -> Result<(), S::Error> {
        self.0.put(RowKind::CanaryAlert, number, 0, &json(alert))
    }

    /// A canary was taken back.
    ///
    /// # Errors
    /// The storage failed.
    pub fn add(&self, terms: &CanaryTerms, why: String, now: Instant) -> Result<(), S::Error> {
        let CanaryTerms { id, version, base, .. } = terms.clone();
        self.save(
            id,
            &CanaryAlert { version, base, why, at: now, taken: Vec::new(), tries: 0, again_at: now },
        )
    }

    /// An alert to send now, and its number. It counts as sent.
    ///
    /// # Errors
    /// The storage failed.
    pub fn take_due(&self, now: Instant) -> Result<Option<(u64, CanaryAlert)>, S::Error> {
        for (number, mut alert) in self.waiting()? {
            if now < alert.again_at {
                continue;
            }
            if alert.tries >= MAX_TRIES {
                self.remove(number)?;
                continue;
            }
            alert.again_at = now + (FIRST_WAIT_MS << alert.tries);
            alert.tries += 1;
            self.save(number, &alert)?;
            return Ok(Some((number, alert)));
        }
        Ok(None)
    }

    /// A receiver has taken an alert.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_taken(&self, number: u64, receiver: &str) -> Result<(), S::Error> {
        let found = self.waiting()?.into_iter().find(|(known, _)| *known == number);
        let Some((_, mut alert)) = found else { return Ok(()) };
        alert.taken.push(receiver.to_owned());
        self.save(number, &alert)
    }

    /// Nobody has to get an alert any more.
    ///
    /// # Errors
    /// The storage failed.
    pub fn remove(&self, number: u64) -> Result<(), S::Error> {
        self.0.remove(RowKind::CanaryAlert, number, number + 1)
    }

    /// When to look again; `None` if no alert waits.
    ///
    /// # Errors
    /// The storage failed.
    pub fn again_at(&self) -> Result<Option<Instant>, S::Error> {
        Ok(self.waiting()?.iter().map(|(_, alert)| alert.again_at).min())
    }
}

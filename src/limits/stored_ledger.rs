//! The ledger in the storage of its object: everything is stored before an answer leaves, so an
//! eviction loses nothing.
//!
//! A meter is one row, and each of its leases is another one, so that a report writes only what it
//! changes.

use std::cell::RefCell;

use serde::Serialize;

use super::ledger_storage::LedgerStorage;
use super::limit_ledger::LimitLedger;
use super::limit_wire::LimitReport;
use super::meter::{Lease, LeaseId, Meter};
use super::object_rows;
use crate::alerting::alert::{AlertReceipt, RECEIPT};
use crate::scan::json_value::{self, json};
use crate::vocabulary::limit::LimitRate;
use crate::vocabulary::time::{Instant, Millis};

/// The alarm does not ring more often: it only removes what no longer counts.
const ALARM_MS: Millis = Millis::new(60_000);

/// The ledger of an object.
#[derive(Debug)]
pub struct StoredLedger<S> {
    storage: S,
    /// `None` before it was read.
    ledger: RefCell<Option<LimitLedger>>,
}

/// An answer of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerReply {
    /// The HTTP status.
    pub status: u16,
    /// JSON, or the text of an error.
    pub text: String,
    /// When the alarm has to ring, if it does not ring earlier.
    pub alarm_at: Option<Instant>,
}

/// What is used of one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeterUsage<'a> {
    /// The meter.
    pub meter: &'a str,
    /// The limit.
    #[serde(flatten)]
    pub rate: LimitRate,
    /// Units that are spent. They may be more than the limit.
    pub spent: u64,
    /// Units that isolates hold and have not spent.
    pub leased: u64,
    /// The rest.
    pub free: u64,
    /// Until the end of the calendar period, in milliseconds.
    pub resets_in_ms: Option<Millis>,
}

impl<'a> MeterUsage<'a> {
    /// A limit of which nothing is spent.
    pub fn unused(meter: &'a str, rate: LimitRate, now: Instant) -> Self {
        usage_of(meter, &Meter::new(rate, now), now)
    }
}

/// The paths of the object.
pub const REPORT: &str = "report";
/// All meters.
pub const USAGE: &str = "usage";
/// The row with the alerts.
const ALERTS: &str = "alerts";

fn meter_key(meter: &str) -> String {
    format!("meter {meter}")
}

fn lease_key(meter: &str, LeaseId { holder, number }: LeaseId) -> String {
    format!("lease {holder:x} {number} {meter}")
}

impl<S: LedgerStorage> StoredLedger<S> {
    /// The ledger in this storage.
    pub fn new(storage: S) -> Self {
        Self { storage, ledger: RefCell::default() }
    }

    /// Answers a request for a path.
    ///
    /// # Errors
    /// The storage failed.
    pub fn answer(&self, path: &str, body: &str, now: Instant) -> Result<LedgerReply, S::Error> {
        match path {
            REPORT => match serde_json::from_str::<LimitReport>(body) {
                Ok(report) => self.with(|ledger| self.on_report(ledger, &report, now)),
                Err(error) => Ok(reply(400, error.to_string())),
            },
            USAGE => self.with(|ledger| {
                self.sweep(ledger, now)?;
                let meters: Vec<_> =
                    ledger.meters().map(|(name, meter)| usage_of(name, meter, now)).collect();
                Ok(reply(200, json(&meters)))
            }),
            RECEIPT => match json_value::parse::<AlertReceipt>(body) {
                Some(receipt) => self.with(|ledger| {
                    ledger.on_taken(&receipt);
                    self.write(ledger, &[])?;
                    Ok(reply(200, String::new()))
                }),
                None => Ok(reply(400, "not a receipt".to_owned())),
            },
            _ => Ok(match object_rows::answer(&self.storage, path, body, now)? {
                Some(ids) => reply(200, ids),
                None => reply(404, String::new()),
            }),
        }
    }

    /// The alarm rings. Returns when it has to ring again.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_alarm(&self, now: Instant) -> Result<Option<Instant>, S::Error> {
        self.with(|ledger| {
            self.sweep(ledger, now)?;
            Ok(alarm_at(ledger, now))
        })
    }

    fn on_report(
        &self,
        ledger: &mut LimitLedger,
        report: &LimitReport,
        now: Instant,
    ) -> Result<LedgerReply, S::Error> {
        let Some(answer) = ledger.on_report(report, now) else {
            return Ok(reply(400, "the report does not say who reports".to_owned()));
        };
        let leases = report.leases.iter().map(|lease| &lease.meter);
        let debts = report.debts.iter().map(|debt| &debt.meter);
        let touched = leases.chain(debts).chain(report.wishes.iter().map(|wish| &wish.meter));
        self.write(ledger, &touched.collect::<Vec<_>>())?;
        let text = json(&answer);
        Ok(LedgerReply { alarm_at: alarm_at(ledger, now), ..reply(200, text) })
    }

    /// Removes what no longer counts.
    fn sweep(&self, ledger: &mut LimitLedger, now: Instant) -> Result<(), S::Error> {
        ledger.advance(now);
        self.write(ledger, &[])?;
        for meter in ledger.take_idle() {
            self.storage.delete(&meter_key(&meter))?;
        }
        Ok(())
    }

    /// Stores the meters that were touched, and all leases that have changed.
    fn write(&self, ledger: &mut LimitLedger, touched: &[&String]) -> Result<(), S::Error> {
        for (name, meter) in ledger.meters_mut() {
            let changed = meter.take_changed();
            if !changed.is_empty() || touched.iter().any(|touched| *touched == name) {
                let text = json(&*meter);
                self.storage.store(&meter_key(name), &text)?;
            }
            for (id, lease) in changed {
                let key = lease_key(name, id);
                match lease {
                    Some(lease) => {
                        self.storage.store(&key, &json(&lease))?;
                    }
                    None => self.storage.delete(&key)?,
                }
            }
        }
        match ledger.take_changed_alerts() {
            Some(alerts) if alerts.is_empty() => self.storage.delete(ALERTS),
            Some(alerts) => self.storage.store(ALERTS, &json(alerts)),
            None => Ok(()),
        }
    }

    /// Runs `act` on the ledger, which is read first if it is not here. After an error it is read
    /// again, because it may differ from what is stored.
    fn with<T>(&self, act: impl FnOnce(&mut LimitLedger) -> Result<T, S::Error>) -> Result<T, S::Error> {
        let mut held = self.ledger.borrow_mut();
        let mut ledger = match held.take() {
            Some(ledger) => ledger,
            None => self.read()?,
        };
        let result = act(&mut ledger)?;
        *held = Some(ledger);
        Ok(result)
    }

    fn read(&self) -> Result<LimitLedger, S::Error> {
        let mut ledger = LimitLedger::default();
        let rows = self.storage.rows("", object_rows::FIRST_KEY, u32::MAX)?;
        for (key, text) in &rows {
            if let Some(name) = key.strip_prefix("meter ")
                && let Ok(meter) = serde_json::from_str::<Meter>(text)
            {
                ledger.restore(name.to_owned(), meter);
            }
            if key == ALERTS {
                ledger.restore_alerts(json_value::parse(text).unwrap_or_default());
            }
        }
        for (key, text) in &rows {
            if let Some((id, name)) = key.strip_prefix("lease ").and_then(lease_of)
                && let Some(meter) = ledger.meter_mut(name)
                && let Ok(lease) = serde_json::from_str::<Lease>(text)
            {
                meter.restore(id, lease);
            }
        }
        Ok(ledger)
    }
}

/// The lease and its meter in the key of a row.
fn lease_of(key: &str) -> Option<(LeaseId, &str)> {
    let mut parts = key.splitn(3, ' ');
    let holder = u64::from_str_radix(parts.next()?, 16).ok()?;
    let number = parts.next()?.parse().ok()?;
    Some((LeaseId { holder, number }, parts.next()?))
}

fn reply(status: u16, text: String) -> LedgerReply {
    LedgerReply { status, text, alarm_at: None }
}

fn alarm_at(ledger: &LimitLedger, now: Instant) -> Option<Instant> {
    Some(ledger.next_at()?.max(now + ALARM_MS))
}

fn usage_of<'a>(name: &'a str, meter: &Meter, now: Instant) -> MeterUsage<'a> {
    let (rate, free, leased) = (meter.rate(), meter.free(), meter.leased());
    let spent = meter.spent();
    let resets_in_ms = rate.per.and_then(|per| per.end(now)).map(|end| end - now);
    MeterUsage { meter: name, rate, spent, leased, free, resets_in_ms }
}

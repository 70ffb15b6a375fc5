//! The meters of one object, and its answers to isolates.

use super::budget_alert::budget_alert;
use super::limit_wire::{AnswerRow, LimitAnswer, LimitReport, ReportRow};
use super::meter::{Decision, LeaseId, LeaseReport, LeaseWish, Meter};
use crate::alerting::alert::AlertReceipt;
use crate::alerting::alert_outbox::AlertOutbox;
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::sorted::BoxedMap;
use crate::vocabulary::time::{Instant, Millis};

/// How long a lease lasts if few isolates hold leases.
const LEASE_MS: Millis = Millis::new(15_000);

/// The most reports that the ledger should get in a second. With more isolates, leases are longer.
const REPORTS_PER_SECOND: u64 = 100;

/// What may be spent, and who holds leases of it.
#[derive(Debug, Clone, Default)]
pub struct LimitLedger {
    meters: BoxedMap<String, Meter>,
    /// When each isolate last reported.
    seen: Vec<(u64, Instant)>,
    /// The alerts about its limits.
    alerts: AlertOutbox,
    /// Whether they differ from what is stored.
    alerts_changed: bool,
}

impl LimitLedger {
    /// A meter.
    pub fn meter(&self, name: &str) -> Option<&Meter> {
        self.meters.get(name).map(AsRef::as_ref)
    }

    /// The meters, to be stored.
    pub fn meters(&self) -> impl Iterator<Item = (&str, &Meter)> {
        self.meters.iter().map(|(name, meter)| (name.as_str(), meter.as_ref()))
    }

    /// The meters, to be changed.
    pub fn meters_mut(&mut self) -> impl Iterator<Item = (&str, &mut Meter)> {
        self.meters.iter_mut().map(|(name, meter)| (name.as_str(), meter.as_mut()))
    }

    /// A meter that exists, to be changed.
    pub fn meter_mut(&mut self, name: &str) -> Option<&mut Meter> {
        self.meters.get_mut(name).map(AsMut::as_mut)
    }

    /// Puts a stored meter back.
    pub fn restore(&mut self, name: String, meter: Meter) {
        self.meters.insert(name, Box::new(meter));
    }

    /// Puts stored alerts back.
    pub fn restore_alerts(&mut self, alerts: AlertOutbox) {
        self.alerts = alerts;
    }

    /// The alerts, if they have changed since the last call.
    pub fn take_changed_alerts(&mut self) -> Option<&AlertOutbox> {
        std::mem::take(&mut self.alerts_changed).then_some(&self.alerts)
    }

    /// A webhook has taken an alert.
    pub fn on_taken(&mut self, receipt: &AlertReceipt) {
        self.alerts_changed |= self.alerts.on_taken(receipt);
    }

    /// When time alone changes something.
    pub fn next_at(&self) -> Option<Instant> {
        self.meters.values().filter_map(|meter| meter.next_at()).min()
    }

    /// How long a lease lasts: so long that each isolate reports twice in it, and all of them not
    /// too often together.
    pub fn length_ms(&self) -> Millis {
        let isolates = u64::try_from(self.seen.len()).unwrap_or(u64::MAX);
        LEASE_MS.max(Millis::new(isolates.saturating_mul(2_000 / REPORTS_PER_SECOND)))
    }

    /// Takes a report, and answers its wishes. Reports come first: what returns can be granted.
    /// `None` if the report does not say who reports.
    pub fn on_report(&mut self, report: &LimitReport, now: Instant) -> Option<LimitAnswer> {
        let holder = u64::from_str_radix(&report.holder, 16).ok()?;
        let longest_ms = self.length_ms();
        self.seen.retain(|(other, at)| *other != holder && now - *at < longest_ms);
        self.seen.push((holder, now));
        let length_ms = self.length_ms();
        for (name, meter) in &mut self.meters {
            meter.forget_done(holder, |number| {
                let is_it = |row: &ReportRow| row.number == number && row.meter == *name;
                report.leases.iter().chain(&report.debts).any(is_it)
            });
        }
        let mut answer = LimitAnswer { next_ms: length_ms / 2, ..LimitAnswer::default() };
        for lease in &report.leases {
            let id = LeaseId { holder, number: lease.number };
            let said = LeaseReport { used: lease.used, reserved: lease.reserved, is_done: lease.is_done };
            let meter = self.meters.get_mut(&lease.meter);
            let reported = meter.map(|meter| (meter.report(id, said, length_ms, now), meter.free()));
            let until = reported.and_then(|(until, _)| until);
            let for_ms = until.map(|until| until - now).filter(|ms| *ms > Millis::ZERO);
            let free = reported.map(|(_, free)| free);
            let (meter, number) = (lease.meter.clone(), lease.number);
            answer.lengths.push(AnswerRow { meter, number, amount: 0, for_ms, free });
        }
        for debt in &report.debts {
            let Some(meter) = self.meter_of(debt, now) else { continue };
            meter.spend(LeaseId { holder, number: debt.number }, debt.used, now);
            let (meter, number) = (debt.meter.clone(), debt.number);
            answer.lengths.push(AnswerRow { meter, number, ..AnswerRow::default() });
        }
        let mut refused: Vec<(&str, u64)> = Vec::new();
        for wish in &report.wishes {
            let Some(meter) = self.meter_of(wish, now) else { continue };
            let id = LeaseId { holder, number: wish.number };
            let (amount, for_ms) =
                match meter.grant(id, LeaseWish { need: wish.need, wanted: wish.wanted }, length_ms, now) {
                    Decision::Granted { amount, until } => (amount, Some(until - now)),
                    Decision::Refused { retry_ms } => {
                        refused.push((&wish.meter, wish.need));
                        (0, retry_ms)
                    }
                };
            let free = Some(meter.free());
            let (meter, number) = (wish.meter.clone(), wish.number);
            answer.grants.push(AnswerRow { meter, number, amount, for_ms, free });
        }
        if report.wants_alerts {
            self.look_for_alerts(report, &refused, now);
            self.alerts_changed |= self.alerts.drop_old(now);
            answer.alerts = self.alerts.give(&[AlertKind::Budget], PeerId(holder), now);
            self.alerts_changed |= !answer.alerts.is_empty();
        }
        Some(answer)
    }

    /// Adds alerts about the meters of this report. `refused`: by meter, what requests needed that
    /// did not fit.
    fn look_for_alerts(&mut self, report: &LimitReport, refused: &[(&str, u64)], now: Instant) {
        for row in report.leases.iter().chain(&report.debts).chain(&report.wishes) {
            let Some(meter) = self.meters.get_mut(&row.meter) else { continue };
            let refused = refused.iter().find(|(meter, _)| *meter == row.meter).map_or(0, |(_, need)| *need);
            let Some(threshold) = meter.take_threshold(refused) else { continue };
            self.alerts.add(budget_alert(report.client.as_deref(), &row.meter, meter, threshold, now), now);
            self.alerts_changed = true;
        }
    }

    /// The meter of a row, with the limit of the document; `None` if the row does not say it.
    fn meter_of(&mut self, row: &ReportRow, now: Instant) -> Option<&mut Meter> {
        let rate = row.rate?;
        let meter = self.meters.entry(row.meter.clone()).or_insert_with(|| Box::new(Meter::new(rate, now)));
        meter.set_amount(rate.amount, now);
        Some(meter)
    }

    /// Brings all meters to this time.
    pub fn advance(&mut self, now: Instant) {
        self.meters.values_mut().for_each(|meter| meter.advance(now));
        self.alerts_changed |= self.alerts.drop_old(now);
    }

    /// Forgets the meters of which nothing is taken. Returns their names.
    pub fn take_idle(&mut self) -> Vec<String> {
        let idle = self.meters.iter().filter(|(_, meter)| meter.is_idle());
        let idle: Vec<String> = idle.map(|(name, _)| name.clone()).collect();
        for name in &idle {
            self.meters.remove(name);
        }
        idle
    }
}

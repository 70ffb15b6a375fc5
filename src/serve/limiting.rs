//! Reserves what a request may use from the limits that count it, and settles what it used.
//!
//! The leases of this isolate decide at once ([`crate::limits`]). A request waits only if they hold
//! too little: for one answer of a ledger, which all requests that wait share. Everything else goes
//! to the ledgers beside the requests: leases that run low, what was used, leases that are no
//! longer needed.

use std::rc::Rc;

use super::alerts::{AlertSource, send_alerts, wants_budgets};
use super::counting::RunningFlush;
use super::isolate_memory::Isolate;
use super::ledger_link::LedgerLink;
use super::object_answer::{AskError, text_within};
use super::object_reports::pool_of;
use super::platform::Platform;
use super::timing::{look_again, sleep, until};
use crate::entry::limit_claims::{LedgerClaims, LedgerName};
use crate::limits::isolate_limits::{Claim, LimitView, Reservation, Reserving};
use crate::limits::limit_wire::LimitAnswer;
use crate::limits::stored_ledger::REPORT;
use crate::routes::graph::{Settings, Unreachable};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::limit::LimitUnit;
use crate::vocabulary::time::{Instant, Millis};

/// How long a request waits for a ledger. Then the ledger counts as unreachable.
const ANSWER_MS: Millis = Millis::new(2_000);
/// The time between two calls of a ledger that does not answer.
const AGAIN_MS: Millis = Millis::new(1_000);
/// How soon a ledger learns of what was used, if no request reports earlier.
const SETTLED_MS: Millis = Millis::new(2_000);
/// How long work in the background waits for the report of a request.
const OTHER_REPORT_MS: Millis = Millis::new(100);
/// How long work in the background reports to a ledger when no request does. The runtime ends such
/// work 30 seconds after its request.
const BACKGROUND_MS: Millis = Millis::new(25_000);
/// The runtime ends work in the background without notice. After this time without a sign of it,
/// other work may begin.
const SILENT_MS: Millis = Millis::new(10_000);

/// What a request has reserved. If it is dropped, nothing of it was used.
pub struct ReservedLimits<P: Platform> {
    platform: P,
    claims: Rc<[LedgerClaims]>,
    /// One for each ledger that has granted its claims.
    reservations: Vec<Reservation>,
}

/// What a request used, in the units of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitedUse {
    /// Tokens of input and output.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
}

/// What is left of the limits of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitLeft {
    /// The whole limit.
    pub amount: u64,
    /// What is left of it.
    pub view: LimitView,
}

impl LimitedUse {
    fn of(&self, claim: &Claim) -> u64 {
        match claim.rate.unit {
            LimitUnit::Requests => 1,
            LimitUnit::Tokens => self.tokens,
            LimitUnit::MicroUsd => self.micro_usd,
            LimitUnit::Concurrent => 0,
        }
    }
}

impl<P: Platform> ReservedLimits<P> {
    /// Reserves what the request claims, all of it or nothing.
    ///
    /// # Errors
    /// A limit is used up, or a ledger cannot be asked and the document says that such requests are
    /// refused.
    pub async fn of(
        platform: &P,
        settings: &Settings,
        claims: &Rc<[LedgerClaims]>,
    ) -> Result<Box<Self>, ClientError> {
        let mut reserved = Box::new(Self {
            platform: platform.clone(),
            claims: Rc::clone(claims),
            reservations: Vec::with_capacity(claims.len()),
        });
        for LedgerClaims { ledger, claims } in claims.iter() {
            let reservation = reserve(platform, settings, ledger, claims).await?;
            reserved.reservations.push(reservation);
        }
        Ok(reserved)
    }

    /// Settles what the request used.
    pub fn settle(&mut self, used: LimitedUse) {
        self.end(|claim| used.of(claim));
    }

    fn end(&mut self, used: impl Fn(&Claim) -> u64) {
        let now = self.platform.now();
        for (LedgerClaims { ledger, claims }, reservation) in
            self.claims.iter().zip(self.reservations.drain(..))
        {
            let mut ledgers = self.platform.isolate().ledgers.borrow_mut();
            if let Some(link) = ledgers.get_mut(ledger) {
                link.limits.settle(claims, &reservation, &used, now);
                link.unsettled_since.get_or_insert(now);
            }
            drop(ledgers);
            keep_reporting(&self.platform, ledger);
        }
    }
}

/// What is left of the client's own limits in this unit: of the one of which the least is left.
pub(super) fn left<P: Platform>(platform: &P, claims: &[LedgerClaims], unit: LimitUnit) -> Option<UnitLeft> {
    let own = claims.iter().filter(|claims| claims.ledger.client.is_some());
    let of_unit = own.flat_map(|LedgerClaims { ledger, claims }| {
        claims.iter().filter(|claim| claim.rate.unit == unit).map(move |claim| (ledger, claim))
    });
    let left = |(ledger, claim): (&LedgerName, &Claim)| {
        let view = view(platform, ledger, &claim.meter)?;
        Some(UnitLeft { amount: claim.rate.amount, view })
    };
    of_unit.filter_map(left).min_by_key(|left| left.view.remaining)
}

/// What is left of a limit, as this isolate knows. `None` if it knows nothing of it.
pub(super) fn view<P: Platform>(platform: &P, ledger: &LedgerName, meter: &str) -> Option<LimitView> {
    platform.isolate().ledgers.borrow().get(ledger)?.limits.view(meter, platform.now())
}

impl<P: Platform> Drop for ReservedLimits<P> {
    fn drop(&mut self) {
        self.end(|_| 0);
    }
}

/// Reserves claims at one ledger.
async fn reserve<P: Platform>(
    platform: &P,
    settings: &Settings,
    ledger: &LedgerName,
    claims: &[Claim],
) -> Result<Reservation, ClientError> {
    let isolate = platform.isolate();
    let began_at = platform.now();
    let ends_at = began_at + ANSWER_MS;
    loop {
        let now = platform.now();
        let (reserving, is_failed, is_due) = isolate.with_ledger(platform, ledger, |link| {
            let reserving = link.limits.reserve(claims, now);
            (reserving, link.failed_at.is_some(), link.limits.is_due(claims, link.next_at, now))
        });
        match reserving {
            Reserving::Reserved(reservation) => {
                // A lease runs low, or the ledger expects it.
                if is_due {
                    report_now(platform, ledger);
                }
                keep_reporting(platform, ledger);
                return Ok(reservation);
            }
            Reserving::Refused { rate, retry_ms } => {
                let is_own = ledger.client.is_some();
                return Err(ClientError::LimitReached { rate, is_own, retry_ms });
            }
            Reserving::Ask => {
                report_now(platform, ledger);
                // Nobody waits for a ledger that did not answer before.
                if is_failed || now >= ends_at {
                    return unreachable(settings, claims);
                }
                until(platform, ends_at, look_again(platform, began_at)).await;
            }
        }
    }
}

/// What happens to a request whose limits cannot be checked.
fn unreachable(settings: &Settings, claims: &[Claim]) -> Result<Reservation, ClientError> {
    let has_budget = claims.iter().any(|claim| claim.rate.unit == LimitUnit::MicroUsd);
    let usual = if has_budget { Unreachable::FailClosed } else { Unreachable::FailOpen };
    match settings.limits_unreachable.unwrap_or(usual) {
        Unreachable::FailClosed => Err(ClientError::LimitsUnavailable),
        Unreachable::FailOpen => Ok(Reservation::default()),
    }
}

impl Isolate {
    fn with_ledger<P: Platform, T>(
        &self,
        platform: &P,
        ledger: &LedgerName,
        act: impl FnOnce(&mut LedgerLink) -> T,
    ) -> T {
        let mut ledgers = self.ledgers.borrow_mut();
        if let Some(link) = ledgers.get_mut(ledger) {
            return act(link);
        }
        act(ledgers.entry(ledger.clone()).or_insert_with(|| LedgerLink::new(platform.random())))
    }
}

/// Reports in the background, unless a report is under way, or the ledger did not answer just now.
fn report_now<P: Platform>(platform: &P, ledger: &LedgerName) {
    let now = platform.now();
    let begins = platform.isolate().with_ledger(platform, ledger, |link| {
        let is_asking = link.asking_until.is_some_and(|until| now < until);
        let is_too_soon = link.failed_at.is_some_and(|at| now < at + AGAIN_MS);
        let begins = !is_asking && !is_too_soon;
        if begins {
            link.asking_until = Some(now + ANSWER_MS);
        }
        begins
    });
    if begins {
        let (background, ledger) = (platform.clone(), ledger.clone());
        platform.in_background(async move { report(&background, &ledger).await });
    }
}

/// Reports to a ledger, and takes its answer.
async fn report<P: Platform>(platform: &P, ledger: &LedgerName) {
    let isolate = platform.isolate();
    let now = platform.now();
    let (mut report, unsettled_since) = isolate.with_ledger(platform, ledger, |link| {
        link.asking_until = Some(now + ANSWER_MS);
        (link.limits.report(now), link.unsettled_since.take())
    });
    let object = ledger.object(&pool_of(platform));
    let routes = isolate.current();
    if routes.as_ref().is_some_and(|routes| wants_budgets(&routes.graph)) {
        (report.wants_alerts, report.client) = (true, ledger.client.clone());
    }
    let text = serde_json::to_string(&report).unwrap_or_default();
    let asked = text_within(platform, ANSWER_MS, platform.ask_ledger(&object, REPORT, text)).await;
    let answer = asked.and_then(|text| {
        serde_json::from_str::<LimitAnswer>(&text).map_err(|error| AskError::Malformed(error.to_string()))
    });
    let now = platform.now();
    let mut alerts = Vec::new();
    let failure = isolate.with_ledger(platform, ledger, |link| {
        link.asking_until = None;
        match answer {
            Ok(mut answer) => {
                alerts = std::mem::take(&mut answer.alerts);
                link.limits.on_answer(&answer, now);
                link.next_at = now + answer.next_ms;
                link.failed_at = None;
                None
            }
            Err(error) => {
                link.unsettled_since = link.unsettled_since.or(unsettled_since);
                link.next_at = now + AGAIN_MS;
                link.failed_at.replace(now).is_none().then_some(error)
            }
        }
    });
    if let Some(error) = failure {
        platform.warn(&format!("limits: the ledger {object} does not answer: {error}"));
    }
    if let Some(routes) = routes {
        send_alerts(platform, &AlertSource::Ledger(object), &routes.graph, alerts);
    }
}

/// Begins work in the background that reports what nobody else does: what was used, and what is no
/// longer needed.
fn keep_reporting<P: Platform>(platform: &P, ledger: &LedgerName) {
    let now = platform.now();
    let begins = platform.isolate().with_ledger(platform, ledger, |link| {
        let begins = now >= link.reporting_until && !link.limits.is_idle();
        if begins {
            link.reporting_until = now + SILENT_MS;
        }
        begins
    });
    if !begins {
        return;
    }
    let running = RunningFlush::begin(platform);
    let ledger = ledger.clone();
    platform.in_background(async move {
        let platform = &running.0;
        let ends_at = platform.now() + BACKGROUND_MS;
        loop {
            let now = platform.now();
            let at = platform.isolate().with_ledger(platform, &ledger, |link| {
                let at = link.due_at(SETTLED_MS).clamp(now, now + SETTLED_MS);
                let is_needed = !link.limits.is_idle() && at < ends_at;
                link.reporting_until = if is_needed { at + SILENT_MS } else { Instant::EPOCH };
                is_needed.then_some(at)
            });
            let Some(at) = at else { break };
            platform.sleep_until(at).await;
            let (is_due, is_asking) = platform.isolate().with_ledger(platform, &ledger, |link| {
                let is_asking = link.asking_until.is_some_and(|until| at < until);
                (link.due_at(SETTLED_MS) <= at, is_asking)
            });
            if is_asking {
                sleep(platform, OTHER_REPORT_MS).await;
            } else if is_due {
                report(platform, &ledger).await;
            }
        }
    });
}

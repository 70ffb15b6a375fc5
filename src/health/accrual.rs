//! The count of failures that trips a gate.
//!
//! There are two signals, because each one misses what the other one finds. A run of failures finds
//! a deployment that is down: within a fraction of a second or a few requests, even in an isolate
//! with little traffic. It does not find a brown-out, because a single success ends the run. The
//! failure rate finds the brown-out, but needs many requests. (linkerd's breaker combines the two
//! for the same reason.)
//!
//! What counts:
//! - `unavailable`, `timeout`, `connection` and `truncated` are failures.
//! - A served request is a success: it ends the run and enters the rate.
//! - `bad_request`, `context_window` and `content_policy` are the caller's fault. They show that
//!   the deployment answers, so they end the run. They do not enter the rate, so that a client in a
//!   loop of bad requests can neither trip a gate nor hide an outage.
//! - `rate_limit`, `quota`, `auth` and `not_found` are not counted: the gate acts on each of them.
//! - A client that left counts as nothing.

use super::reason::Reason;
use super::window::{Counts, Window};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::time::Instant;

/// The smallest number of requests in the window for which the failure rate is used.
const MIN_REQUESTS: u32 = 10;

/// Whether the failure rate is too high: at least half of the requests failed. Below that, second
/// attempts elsewhere serve the clients, and the capacity of the deployment is still useful.
fn is_too_many(counts: Counts) -> bool {
    counts.total() >= MIN_REQUESTS && counts.failures >= counts.successes
}

/// The longest latency that [`least_run`] takes into account.
const LATENCY_MS: f64 = 2_000.0;

/// The latency to assume where none is known.
const USUAL_LATENCY_MS: f64 = 500.0;

/// How many failures in a row trip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunRule {
    /// The smallest number. Heavy traffic needs more.
    pub least: u32,
    /// How long requests take there, in milliseconds, where known. The slower kind of
    /// answers counts.
    pub latency_ms: Option<f64>,
}

/// The number of failures in a row that trips at the given traffic: the smallest one, plus the
/// number of requests in 150 ms and a tenth of a latency.
///
/// Where some requests fail, more traffic produces longer runs by chance. Also, failures become
/// known earlier than the successes beside them, which take a full latency. The numbers are a
/// balance that the simulation shows. With larger ones, an outage is found later. With smaller
/// ones, a deployment that fails three of ten requests is treated as one that is down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; `as` saturates")]
fn least_run(counts: Counts, rule: RunRule) -> u32 {
    let per_ms = f64::from(counts.total()) / 10_000.0;
    let extra = per_ms * (150.0 + 0.1 * rule.latency_ms.unwrap_or(USUAL_LATENCY_MS).clamp(0.0, LATENCY_MS));
    rule.least.saturating_add(extra as u32)
}

/// Failures that another isolate saw since the last answer, if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureRun {
    /// The number of failures.
    pub failures: u32,
    /// When the first of them began.
    pub since: Instant,
    /// When the latest of the answered attempts began.
    pub answered_at: Option<Instant>,
}

/// The two signals of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accrual {
    run: u32,
    /// When the first failure of the run became known.
    run_since: Instant,
    /// When the deployment was last seen to answer. Only complete answers count.
    answered_at: Option<Instant>,
    window: Window,
}

/// A run that a commit ended. It is stored until it is known whether the answer breaks.
#[derive(Debug, Clone, Copy)]
pub struct EndedRun {
    run: u32,
    since: Instant,
    answered_at: Option<Instant>,
}

impl Accrual {
    /// Starts again: failures before `now` do not matter for the time after it.
    pub fn starting_at(now: Instant) -> Self {
        Self { answered_at: Some(now), ..Self::default() }
    }

    /// A request was served. `seen_at`: when the deployment was seen to answer. For a long answer,
    /// that is its beginning and not its end.
    pub fn on_success(&mut self, seen_at: Instant, now: Instant) {
        self.on_response(seen_at);
        self.window.add(Counts { successes: 1, failures: 0 }, now);
    }

    /// An attempt reached its commit point. This ends the run, until the answer breaks.
    pub fn on_commit(&mut self) -> EndedRun {
        EndedRun { run: std::mem::take(&mut self.run), since: self.run_since, answered_at: self.answered_at }
    }

    /// The answer broke after its commit point. The run continues, unless another answer has been
    /// completed in the meantime. The failure itself is recorded separately.
    ///
    /// Each commit takes the failures since the previous commit, and each broken answer gives its
    /// failures back. So the run is complete again when all answers under way have broken. Until
    /// then only the failure rate can detect the outage.
    pub fn on_broken_answer(&mut self, EndedRun { run, since, answered_at }: EndedRun) {
        let has_answered = self.answered_at > answered_at && self.answered_at >= Some(since);
        if run == 0 || has_answered {
            return;
        }
        self.run_since = if self.run == 0 { since } else { self.run_since.min(since) };
        self.run = self.run.saturating_add(run);
    }

    /// The deployment refused a request because of the caller's fault. This ends a run that did not
    /// begin after `seen_at`.
    pub fn on_response(&mut self, seen_at: Instant) {
        self.answered_at = self.answered_at.max(Some(seen_at));
        if seen_at >= self.run_since {
            self.run = 0;
        }
    }

    /// A request failed by the deployment's fault. Returns the reason to eject the deployment, if
    /// there are now too many failures.
    pub fn on_failure(&mut self, class: ErrorClass, rule: RunRule, now: Instant) -> Option<Reason> {
        if self.run == 0 {
            self.run_since = now;
        }
        self.run = self.run.saturating_add(1);
        self.window.add(Counts { successes: 0, failures: 1 }, now);
        self.judge(class, rule, now)
    }

    /// Adds what another isolate saw. Returns the reason to eject, if there are now too many
    /// failures.
    pub fn add(
        &mut self,
        counts: Counts,
        run: FailureRun,
        class: ErrorClass,
        rule: RunRule,
        now: Instant,
    ) -> Option<Reason> {
        if let Some(answered_at) = run.answered_at {
            self.on_response(answered_at);
        }
        if self.run == 0 {
            self.run_since = run.since;
        }
        self.run = self.run.saturating_add(run.failures);
        self.window.add(counts, now);
        if counts.failures == 0 { None } else { self.judge(class, rule, now) }
    }

    fn judge(&self, class: ErrorClass, rule: RunRule, now: Instant) -> Option<Reason> {
        let counts = self.window.counts(now);
        if self.run >= least_run(counts, rule) {
            Some(Reason::ConsecutiveFailures { failures: self.run, class })
        } else if is_too_many(counts) {
            Some(Reason::FailureRate { failures: counts.failures, requests: counts.total(), class })
        } else {
            None
        }
    }

    /// Whether there are enough requests to conclude that most of them are served.
    pub fn is_serving(&self, rule: RunRule, now: Instant) -> bool {
        let counts = self.window.counts(now);
        self.run < least_run(counts, rule) && counts.total() >= MIN_REQUESTS && !is_too_many(counts)
    }

    /// The signals with these counts, all of now.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of_counts(run: u32, counts: Counts, now: Instant) -> Self {
        let mut accrual = Self { run, run_since: now, ..Self::default() };
        accrual.window.add(counts, now);
        accrual
    }

    /// Failures since the last answer.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// Outcomes within the window.
    pub fn counts(&self, now: Instant) -> Counts {
        self.window.counts(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::at;
    use ErrorClass::Unavailable;

    const RUN: u32 = 5;
    const USUAL: RunRule = RunRule { least: RUN, latency_ms: None };

    #[test]
    fn a_run_trips_at_its_fifth_failure() {
        let mut accrual = Accrual::default();
        for _ in 1..RUN {
            assert_eq!(accrual.on_failure(Unavailable, USUAL, at(0)), None);
        }
        let reason = Reason::ConsecutiveFailures { failures: 5, class: ErrorClass::Timeout };
        assert_eq!(accrual.on_failure(ErrorClass::Timeout, USUAL, at(0)), Some(reason));
    }

    #[test]
    fn an_answer_from_before_a_run_does_not_end_it() {
        let mut accrual = Accrual::default();
        for now in 100..104 {
            accrual.on_failure(Unavailable, USUAL, at(now));
        }
        // A long answer that began before the run, and an earlier answer that another isolate saw.
        accrual.on_success(at(99), at(104));
        let run = FailureRun { failures: 0, since: at(0), answered_at: Some(at(99)) };
        accrual.add(Counts { successes: 1, failures: 0 }, run, Unavailable, USUAL, at(104));
        assert_eq!(accrual.run(), 4);
        accrual.on_response(at(100));
        assert_eq!(accrual.run(), 0);
    }

    #[test]
    fn runs_have_to_be_longer_where_there_is_more_traffic() {
        for (successes, expected) in [(0, 5), (44, 5), (45, 6), (500, 15), (5_000, 107)] {
            let mut accrual = Accrual::default();
            for _ in 0..successes {
                accrual.on_success(at(0), at(0));
            }
            let tripped =
                (1..=expected).position(|_| accrual.on_failure(Unavailable, USUAL, at(0)).is_some());
            assert_eq!(tripped.map(|at| at + 1), Some(expected), "{successes} successes before");
        }
    }

    #[test]
    fn a_run_survives_a_quiet_hour() {
        let mut accrual = Accrual::default();
        let tripped =
            (0..5).filter_map(|hour| accrual.on_failure(Unavailable, USUAL, at(hour * 3_600_000))).count();
        assert_eq!(tripped, 1);
    }

    #[test]
    fn answers_that_break_after_their_commit_are_failures_in_a_row_like_any_others() {
        let mut accrual = Accrual::default();
        for nth in 1..=RUN {
            let ended = accrual.on_commit();
            assert_eq!(accrual.run(), 0, "until it breaks");
            accrual.on_broken_answer(ended);
            assert_eq!(accrual.on_failure(Unavailable, USUAL, at(0)).is_some(), nth == RUN);
        }
        // An answer that was complete before the run began, at the same time, does not end the run.
        let mut accrual = Accrual::default();
        accrual.on_success(at(0), at(0));
        accrual.on_failure(Unavailable, USUAL, at(0));
        let ended = accrual.on_commit();
        accrual.on_broken_answer(ended);
        assert_eq!(accrual.run(), 1);
        // A run from before a restart does not continue.
        let ended = accrual.on_commit();
        accrual = Accrual::starting_at(at(1));
        accrual.on_broken_answer(ended);
        assert_eq!(accrual.run(), 0);
        // Another answer that was completed in the meantime counts as an answer.
        let mut accrual = Accrual::default();
        accrual.on_failure(Unavailable, USUAL, at(0));
        let ended = accrual.on_commit();
        accrual.on_success(at(0), at(0));
        accrual.on_broken_answer(ended);
        assert_eq!(accrual.run(), 0);
    }

    #[test]
    fn any_answer_ends_a_run() {
        for answer in [
            |accrual: &mut Accrual| accrual.on_success(at(0), at(0)),
            |accrual: &mut Accrual| accrual.on_response(at(0)),
        ] {
            let mut accrual = Accrual::default();
            for _ in 0..4 {
                accrual.on_failure(Unavailable, USUAL, at(0));
            }
            answer(&mut accrual);
            assert_eq!(accrual.run(), 0);
            assert_eq!(accrual.on_failure(Unavailable, USUAL, at(0)), None);
        }
    }

    /// Plays `+` for a success and `-` for a failure, all in one second. Returns the last reason.
    fn play(script: &str) -> Option<Reason> {
        let mut accrual = Accrual::default();
        let mut reason = None;
        for step in script.chars() {
            if step == '-' {
                reason = accrual.on_failure(Unavailable, USUAL, at(0));
            } else {
                accrual.on_success(at(0), at(0));
            }
        }
        reason
    }

    #[test]
    fn a_rate_needs_ten_requests_and_half_of_them_failed() {
        // Nine requests are too few, even if most of them failed.
        assert_eq!(play("--+--+--+"), None);
        assert_eq!(play("-+--+--+-"), None);
        // The tenth request is enough.
        let reason =
            |failures, requests| Some(Reason::FailureRate { failures, requests, class: Unavailable });
        assert_eq!(play("-+--+--+--"), reason(7, 10));
        assert_eq!(play("+-+-+-+-+-"), reason(5, 10));
        // One failure less than half.
        assert_eq!(play("++-+-+-+-+-"), None);
    }

    #[test]
    fn the_callers_faults_neither_raise_nor_dilute_the_rate() {
        let mut accrual = Accrual::default();
        let mut tripped_at = None;
        for request in 1..=12 {
            accrual.on_response(at(0));
            if accrual.on_failure(Unavailable, USUAL, at(0)).is_some() {
                tripped_at = tripped_at.or(Some(request));
            }
        }
        assert_eq!(
            tripped_at,
            Some(10),
            "the failures alone are counted, and a hundred percent of them failed"
        );
    }

    #[test]
    fn old_failures_leave_the_rate() {
        let mut accrual = Accrual::default();
        for _ in 0..9 {
            accrual.on_success(at(0), at(0));
            accrual.on_failure(Unavailable, USUAL, at(0));
            accrual.on_success(at(0), at(0));
        }
        accrual.on_success(at(10_000), at(10_000));
        assert_eq!(accrual.on_failure(Unavailable, USUAL, at(10_000)), None);
        assert_eq!(accrual.counts(at(10_000)), Counts { successes: 1, failures: 1 });
    }
}

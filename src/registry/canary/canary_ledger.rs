//! The canary in the storage of the registry: how it starts, what isolates report, how it ends, and
//! what the store of documents must have because of it.
//!
//! The registry decides first, and the store follows: [`CanaryLedger::due_write`] says what has to
//! be written until [`CanaryLedger::on_written`] says that it was. An eviction or a store that does
//! not answer delays that, and loses nothing.

use serde::{Deserialize, Serialize};

use super::canary_alert::CanaryAlerts;
use super::canary_tally::{BothCounts, CanaryAnswer, CanaryReport, FIRST_PACE_MS};
use super::canary_trial::{CanaryTerms, CanaryTrial, ENOUGH_EVIDENCE, Evidence, LEAST_REQUESTS, Verdict};
use super::version_counts::VersionCounts;
use crate::registry::version_ledger::{
    Act, BeginRequest, Begun, ChangeKind, ChangeNote, RegistryStorage, RowKind, VersionLedger, shortened,
};
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::{Instant, Millis};

/// How long to wait before the store is written again, if it did not take a document.
const WRITE_AGAIN_MS: Millis = Millis::new(5_000);
/// Who does what nobody asked for.
const GATEWAY: &str = "gateway";

/// `canary/end`: an administrator ends the canary. The answer is a [`CanaryTerms`] with status 200,
/// or 404. It is also the body of the call of the admin API, without `who`.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndCanaryRequest {
    /// [`PROMOTE`] or [`TAKE_BACK`].
    pub action: String,
    /// Who.
    #[serde(default)]
    pub who: String,
    /// The reason, if one was given.
    pub why: Option<String>,
}

/// The action with which the new version takes over.
pub const PROMOTE: &str = "promote";
/// The action with which the old version goes on.
pub const TAKE_BACK: &str = "take_back";

/// What has become of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CanaryEnd {
    /// The old version serves alone.
    TakenBack,
    /// The new version is the current one.
    TookOver,
    /// Somebody has written another document past the API.
    Replaced,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CanaryState {
    terms: CanaryTerms,
    note: ChangeNote,
    /// The numbers of the [`CanaryTrial`].
    trial: Vec<u64>,
    /// Why it has ended, if it has.
    end: Option<String>,
    /// Whether somebody has written another document past the API.
    is_replaced: bool,
    /// When to write to the store; `None` if it has everything.
    write_at: Option<Instant>,
}

/// What the store of documents must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreWrite {
    /// The canary.
    pub id: u64,
    /// Whether it has ended.
    pub is_end: bool,
    /// The text of the new version beside the current document; `None` if there is none.
    pub canary: Option<String>,
    /// The current document. `None` if somebody has written another one, which stays.
    pub current: Option<String>,
    /// What stands with it.
    pub note: Option<String>,
}

/// What an administrator sees of a version.
#[derive(Serialize)]
pub struct VersionView {
    requests: u64,
    failed: u64,
    fell_back: u64,
    p50: Option<u64>,
    p95: Option<u64>,
}

impl From<&VersionCounts> for VersionView {
    fn from(counts: &VersionCounts) -> Self {
        let VersionCounts { requests, failed, fell_back, .. } = *counts;
        let percentile = |percent| counts.percentile_ms(percent);
        Self { requests, failed, fell_back, p50: percentile(50), p95: percentile(95) }
    }
}

/// A canary as administrators see it.
#[derive(Serialize)]
pub struct CanaryView<'a> {
    version: &'a str,
    base: &'a str,
    share: u32,
    until: Instant,
    old: VersionView,
    new: VersionView,
    evidence: Evidence,
    enough_evidence: f64,
    least_requests: u64,
}

impl<'a> CanaryView<'a> {
    /// The view of a canary with these counts.
    pub fn of(terms: &'a CanaryTerms, trial: &CanaryTrial) -> Self {
        Self {
            version: &terms.version,
            base: &terms.base,
            share: terms.share,
            until: terms.until,
            old: (&trial.counts.old).into(),
            new: (&trial.counts.new).into(),
            evidence: trial.evidence(terms),
            enough_evidence: ENOUGH_EVIDENCE,
            least_requests: LEAST_REQUESTS,
        }
    }
}

/// The canary, over a storage.
#[derive(Debug)]
pub struct CanaryLedger<'a, S>(pub &'a S);

impl<S: RegistryStorage> CanaryLedger<'_, S> {
    fn versions(&self) -> VersionLedger<'_, S> {
        VersionLedger(self.0)
    }

    #[inline(never)]
    fn state(&self) -> Result<Option<CanaryState>, S::Error> {
        let rows = self.0.rows(RowKind::Canary, 0, 1)?;
        Ok(rows.first().and_then(|(_, text)| json_value::parse(text)))
    }

    fn running(&self) -> Result<Option<CanaryState>, S::Error> {
        Ok(self.state()?.filter(|state| state.end.is_none()))
    }

    #[inline(never)]
    fn save(&self, state: &CanaryState) -> Result<(), S::Error> {
        self.0.put(RowKind::Canary, 0, 0, &json(state))
    }

    /// The version of the canary that runs.
    ///
    /// # Errors
    /// The storage failed.
    pub fn version(&self) -> Result<Option<String>, S::Error> {
        Ok(self.running()?.map(|state| state.terms.version))
    }

    /// Starts a canary of a change, which is based on `expected` (`*`: on any version). `share`:
    /// the percentage of requests.
    ///
    /// # Errors
    /// The storage failed.
    pub fn start(
        &self,
        request: BeginRequest,
        share: u32,
        minutes: u64,
        now: Instant,
    ) -> Result<Begun, S::Error> {
        let BeginRequest { expected, mut note, document, .. } = request;
        let Some(current) = self.versions().find(None)? else { return Ok(Begun::Stale(None)) };
        if expected != "*" && expected != current.version {
            return Ok(Begun::Stale(Some(current.version)));
        }
        if self.versions().is_changing(now)? {
            return Ok(Begun::Busy);
        }
        if note.version == current.version {
            return Ok(Begun::Unchanged(current.number));
        }
        note.why = shortened(note.why);
        let before = self.state()?;
        self.0.remove(RowKind::CanaryIsolate, 0, u64::MAX)?;
        self.0.remove(RowKind::CanaryDocument, 0, 1)?;
        self.versions().put_text(RowKind::CanaryDocument, 0, &document)?;
        let id = before.map_or(0, |state| state.terms.id) + 1;
        let until = now + Millis::new(minutes.saturating_mul(60_000));
        let terms = CanaryTerms { id, version: note.version.clone(), base: current.version, share, until };
        self.log(&note.who, "start", &terms, note.why.clone(), now)?;
        self.save(&CanaryState {
            terms: terms.clone(),
            note,
            trial: Vec::new(),
            end: None,
            is_replaced: false,
            write_at: Some(now),
        })?;
        Ok(Begun::OnTrial(terms))
    }

    /// An isolate reports. It may know nothing of the end of its canary.
    ///
    /// # Errors
    /// The storage failed.
    pub fn report(&self, report: &CanaryReport, now: Instant) -> Result<CanaryAnswer, S::Error> {
        let state = self.state()?;
        let Some(mut state) = state.filter(|state| state.terms.id == report.canary && state.end.is_none())
        else {
            return Ok(CanaryAnswer { next_ms: FIRST_PACE_MS, ended: Some(self.reason(report.canary)?) });
        };
        let number = report.isolate;
        let rows = self.0.rows(RowKind::CanaryIsolate, number, number.saturating_add(1))?;
        let last: Option<Vec<u64>> = rows.first().and_then(|(_, text)| json_value::parse(text));
        let last = last.as_deref().and_then(<[u64]>::split_first);
        let last = last.map(|(at, counts)| (BothCounts::of_numbers(counts), Instant::from_epoch_ms(*at)));
        let before = last.as_ref().map(|(counts, at)| (counts, *at));
        // One that was overtaken by a later one adds nothing, and is forgotten.
        let is_older = |(counts, _): &(&BothCounts, Instant)| counts.requests() > report.counts.requests();
        let counts = *before.filter(is_older).map_or(&report.counts, |(counts, _)| counts);
        let mut trial = CanaryTrial::of_numbers(&state.trial);
        let next_ms = trial.on_report(before, &counts, now);
        state.trial = trial.numbers();
        let row: Vec<u64> = std::iter::once(now.epoch_ms()).chain(counts.numbers()).collect();
        self.0.put(RowKind::CanaryIsolate, number, 0, &json(&row))?;
        self.save(&state)?;
        self.judge(state, now)?;
        let is_over = self.running()?.is_none();
        let ended = if is_over { Some(self.reason(report.canary)?) } else { None };
        Ok(CanaryAnswer { next_ms, ended })
    }

    /// Why the canary with this number has ended.
    fn reason(&self, id: u64) -> Result<String, S::Error> {
        let state = self.state()?.filter(|state| state.terms.id == id);
        let end = state.and_then(|state| state.end);
        Ok(end.unwrap_or_else(|| "there is a later one".to_owned()))
    }

    /// The time may be over.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_time(&self, now: Instant) -> Result<(), S::Error> {
        self.running()?.map_or(Ok(()), |state| self.judge(state, now))
    }

    fn judge(&self, state: CanaryState, now: Instant) -> Result<(), S::Error> {
        let trial = CanaryTrial::of_numbers(&state.trial);
        let BothCounts { old, new } = &trial.counts;
        let figures = format!(
            "of its {} requests, {} failed and {} fell back; of the {} of the old version, {} and {}",
            new.requests, new.failed, new.fell_back, old.requests, old.failed, old.fell_back,
        );
        let (end, why) = match trial.verdict(&state.terms, now) {
            None => return Ok(()),
            Some(Verdict::Worse(finding)) => (CanaryEnd::TakenBack, finding.reason()),
            Some(Verdict::TooFewRequests) => (CanaryEnd::TakenBack, "it served too few requests"),
            Some(Verdict::TakesOver) => (CanaryEnd::TookOver, "it is not worse"),
        };
        let why = format!("{why}: {figures}");
        if end == CanaryEnd::TakenBack {
            CanaryAlerts(self.0).add(&state.terms, why.clone(), now)?;
        }
        self.end(state, end, GATEWAY, why, now)
    }

    /// An administrator ends the canary. Returns its terms.
    ///
    /// # Errors
    /// The storage failed.
    pub fn end_by_hand(
        &self,
        request: EndCanaryRequest,
        now: Instant,
    ) -> Result<Option<CanaryTerms>, S::Error> {
        let Some(state) = self.running()? else { return Ok(None) };
        let terms = state.terms.clone();
        let EndCanaryRequest { action, who, why } = request;
        let (end, usual) = if action == PROMOTE {
            (CanaryEnd::TookOver, "promoted by hand")
        } else {
            (CanaryEnd::TakenBack, "taken back by hand")
        };
        self.end(state, end, &who, shortened(why).unwrap_or_else(|| usual.to_owned()), now)?;
        Ok(Some(terms))
    }

    /// The store has not taken the documents of a canary that was to start.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_start_failed(&self, now: Instant) -> Result<(), S::Error> {
        let Some(state) = self.running()? else { return Ok(()) };
        self.end(state, CanaryEnd::TakenBack, GATEWAY, "KV did not take the documents".to_owned(), now)
    }

    /// The current version may be another one now.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_notice(&self, now: Instant) -> Result<(), S::Error> {
        let Some(state) = self.running()? else { return Ok(()) };
        let current = self.versions().find(None)?;
        if current.is_none_or(|current| current.version == state.terms.base) {
            return Ok(());
        }
        let why = "another document was written past the API".to_owned();
        self.end(state, CanaryEnd::Replaced, GATEWAY, why, now)
    }

    fn end(
        &self,
        mut state: CanaryState,
        end: CanaryEnd,
        who: &str,
        why: String,
        now: Instant,
    ) -> Result<(), S::Error> {
        if end == CanaryEnd::TookOver {
            let note = ChangeNote {
                version: state.terms.version.clone(),
                who: who.to_owned(),
                why: state.note.why.clone().or_else(|| Some(why.clone())),
                how: ChangeKind::Canary,
            };
            let document = self.versions().text(RowKind::CanaryDocument, 0)?;
            self.versions().record_now(note, &document, now)?;
        } else {
            self.log(who, "take_back", &state.terms, Some(why.clone()), now)?;
        }
        (state.end, state.write_at) = (Some(why), Some(now));
        state.is_replaced = end == CanaryEnd::Replaced;
        self.0.remove(RowKind::CanaryIsolate, 0, u64::MAX)?;
        self.save(&state)
    }

    #[inline(never)]
    fn log(
        &self,
        who: &str,
        what: &str,
        terms: &CanaryTerms,
        why: Option<String>,
        now: Instant,
    ) -> Result<(), S::Error> {
        let act = Act {
            who: who.to_owned(),
            what: format!("routes.canary.{what}"),
            subject: Some(terms.version.clone()),
            why,
            result: "ok".to_owned(),
        };
        self.versions().add_act(act, now)
    }

    /// What the store of documents must have and may not have yet. `found`: the version that it
    /// has, if that was looked up. One that nobody knows was written past the API, and stays.
    ///
    /// # Errors
    /// The storage failed.
    pub fn due_write(&self, found: Option<&str>) -> Result<Option<StoreWrite>, S::Error> {
        let Some(state) = self.state()?.filter(|state| state.write_at.is_some()) else { return Ok(None) };
        let is_end = state.end.is_some();
        let is_foreign = match found {
            Some(found) => self.versions().find(Some(found))?.is_none(),
            None => false,
        };
        let current = match self.versions().find(None)? {
            Some(current) if !state.is_replaced && !is_foreign => {
                Some(self.versions().document(current.number)?)
            }
            _ => None,
        };
        let canary = if is_end { None } else { Some(self.versions().text(RowKind::CanaryDocument, 0)?) };
        let note = (!is_end).then(|| json(&state.terms));
        Ok(Some(StoreWrite { id: state.terms.id, is_end, canary, current, note }))
    }

    /// When to write to the store; `None` if it has everything.
    ///
    /// # Errors
    /// The storage failed.
    pub fn write_at(&self) -> Result<Option<Instant>, S::Error> {
        Ok(self.state()?.and_then(|state| state.write_at))
    }

    /// The store did not take it. It is not asked again at once, however many reports come.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_refused(&self, now: Instant) -> Result<(), S::Error> {
        if let Some(mut state) = self.state()?.filter(|state| state.write_at.is_some()) {
            state.write_at = Some(now + WRITE_AGAIN_MS);
            self.save(&state)?;
        }
        Ok(())
    }

    /// The store has this now.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_written(&self, write: &StoreWrite) -> Result<(), S::Error> {
        let is_same = |state: &CanaryState| (state.terms.id, state.end.is_some()) == (write.id, write.is_end);
        if let Some(mut state) = self.state()?.filter(is_same) {
            state.write_at = None;
            self.save(&state)?;
        }
        Ok(())
    }

    /// When to look again: to write what the store did not take, to end what runs, or to send an
    /// alert.
    ///
    /// # Errors
    /// The storage failed.
    pub fn alarm_at(&self) -> Result<Option<Instant>, S::Error> {
        let of_canary = self.state()?.and_then(|state| match state {
            CanaryState { write_at: Some(at), .. } => Some(at),
            CanaryState { end: None, terms, .. } => Some(terms.until),
            CanaryState { .. } => None,
        });
        Ok(of_canary.into_iter().chain(CanaryAlerts(self.0).again_at()?).min())
    }

    /// The canary that runs, as JSON; `null` if there is none.
    ///
    /// # Errors
    /// The storage failed.
    pub fn view(&self) -> Result<String, S::Error> {
        let state = self.running()?;
        Ok(json(
            &state.as_ref().map(|state| CanaryView::of(&state.terms, &CanaryTrial::of_numbers(&state.trial))),
        ))
    }
}

//! Isolates that share a shard, and shards that share a hub, on one clock that the tests move.

use switchyard::health::gate::Admission;
use switchyard::health::reporter::Reporter;
use switchyard::health::shard::{SavedDeployment, Shard, ShardHead};
use switchyard::health::wire::{HealthReport, ShardAnswer};
use switchyard::health::{AnswerKind, GateChange, Health, Outcome, Sample, Ticket};
use switchyard::routes::graph::RateLimits;
use switchyard::vocabulary::error_class::ErrorClass::{self, RateLimit, Unavailable};
use switchyard::vocabulary::operation::Operation::{self, ChatCompletions as Chat};
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::isolate::START;
use crate::times::ms;

/// The deployments of every isolate here, by id.
pub const NAMES: [&str; 2] = ["east", "west"];

/// The limit of reports a second. It is so high that every isolate is asked to report again after a
/// second. `slots` tests lower limits.
pub const RATE: u32 = 1_000_000;

/// One isolate with its reporter.
pub struct Member {
    pub health: Health,
    pub reporter: Reporter,
    pub rng: SplitMix64,
}

/// The isolates of a region and their shard.
pub struct Region {
    pub members: Vec<Member>,
    pub shard: Shard,
    pub now: Instant,
    pub rng: SplitMix64,
    /// Whether reports reach the shard.
    pub is_up: bool,
}

pub fn health() -> Health {
    Health::new(NAMES.map(|name| (name, RateLimits::default())))
}

impl Member {
    pub fn new(id: u64) -> Self {
        Self { health: health(), reporter: Reporter::new(id), rng: SplitMix64::new(id) }
    }

    pub fn begin(&mut self, now: Instant) -> Ticket {
        self.health.begin(0, Chat, AnswerKind::Whole, 0, now)
    }

    pub fn end(&mut self, ticket: Ticket, outcome: Outcome, now: Instant) -> Vec<GateChange> {
        self.health.record(ticket, &Sample::of(outcome), now, &mut self.rng)
    }

    pub fn attempt(&mut self, outcome: Outcome, now: Instant) -> Vec<GateChange> {
        self.attempt_at(0, Chat, outcome, now)
    }

    pub fn attempt_at(
        &mut self,
        id: usize,
        operation: Operation,
        outcome: Outcome,
        now: Instant,
    ) -> Vec<GateChange> {
        let ticket = self.health.begin(id, operation, AnswerKind::Whole, 0, now);
        self.end(ticket, outcome, now)
    }

    pub fn fail(&mut self, class: ErrorClass, now: Instant) -> Vec<GateChange> {
        self.attempt(Outcome::failed(class, None), now)
    }

    pub fn trip(&mut self, now: Instant) {
        for _ in 0..5 {
            self.fail(Unavailable, now);
        }
    }

    pub fn admission(&self, now: Instant) -> Admission {
        self.health.admission(0, Chat, now)
    }

    pub fn is_open(&self, now: Instant) -> bool {
        self.admission(now) == Admission::Open
    }

    /// The time that is left of the ejection. It is 0 if the deployment is not ejected, or waits
    /// for its probe.
    pub fn ejected_ms(&self, now: Instant) -> Millis {
        self.health.snapshot(now)[0].gate.until.map_or(ms(0), |until| until - now)
    }

    /// Sends a request to the deployment if the gate admits it, and else asks for a probe, as the
    /// walk does. Returns the ticket if the request is a probe. Other requests are answered at
    /// once.
    pub fn request(&mut self, now: Instant) -> Option<Ticket> {
        match self.admission(now) {
            Admission::Open => {
                self.attempt(Outcome::Served, now);
                None
            }
            Admission::Probe => Some(self.begin(now)),
            Admission::Refused(_) => {
                self.health.request_probe(0, false, now);
                None
            }
        }
    }
}

impl Region {
    pub fn new(members: u64) -> Self {
        let mut rng = SplitMix64::new(99);
        Self {
            members: (1..=members).map(Member::new).collect(),
            shard: Shard::new(&mut rng),
            now: START,
            rng,
            is_up: true,
        }
    }

    /// A region in which every isolate has reported once.
    pub fn acquainted(members: u64) -> Self {
        let mut region = Self::new(members);
        region.report_all();
        region.wait(ms(1_000));
        region
    }

    pub fn wait(&mut self, ms: Millis) -> &mut Self {
        self.now += ms;
        self
    }

    /// One isolate reports over the wire, whether it is due or not.
    pub fn report(&mut self, nth: usize) -> Vec<GateChange> {
        let member = &mut self.members[nth];
        let report = member.reporter.report(&mut member.health, RATE, self.now, &mut member.rng);
        if !self.is_up {
            member.reporter.on_failure(&mut member.health, self.now, &mut member.rng);
            return Vec::new();
        }
        let report = HealthReport::parse(&report.to_json()).unwrap();
        let answer = self.shard.report(&report, self.now, &mut self.rng);
        let answer = ShardAnswer::parse(&answer.to_json()).unwrap();
        let member = &mut self.members[nth];
        member.reporter.on_answer(&mut member.health, &answer, self.now, &mut member.rng)
    }

    /// Every isolate that is due reports, until none is due. Returns the number of reports.
    pub fn settle(&mut self) -> usize {
        let mut reports = 0;
        while let Some(nth) =
            self.members.iter().position(|member| member.reporter.is_due(&member.health, self.now))
        {
            self.report(nth);
            reports += 1;
        }
        reports
    }

    pub fn report_all(&mut self) {
        for nth in 0..self.members.len() {
            self.report(nth);
        }
    }

    /// The object is evicted and restored from what it stored.
    pub fn evict(&mut self) {
        let head = self.shard.head().to_json();
        let saved: Vec<(String, String)> = self
            .shard
            .changed_since(0)
            .map(|(identity, saved)| (identity.to_owned(), saved.to_json()))
            .collect();
        let saved =
            saved.into_iter().map(|(identity, text)| (identity, SavedDeployment::parse(&text).unwrap()));
        self.shard = Shard::restore(ShardHead::parse(&head).unwrap(), saved, self.now);
    }

    /// The object loses what it stored.
    pub fn lose(&mut self) {
        self.shard = Shard::new(&mut self.rng);
    }

    /// Sends a report to the hub and merges its answer.
    pub fn poll(&mut self, hub: &mut Shard) {
        let report = self.shard.report_to_hub(self.now);
        let report = HealthReport::parse(&report.to_json()).unwrap();
        let answer = hub.report(&report, self.now, &mut self.rng);
        let answer = ShardAnswer::parse(&answer.to_json()).unwrap();
        self.shard.merge_hub_answer(&answer, self.now);
    }

    /// The number of isolates that let traffic through.
    pub fn open(&self) -> usize {
        self.members.iter().filter(|member| member.is_open(self.now)).count()
    }

    /// Moves the clock to the end of the longest ejection.
    pub fn sit_out(&mut self) -> &mut Self {
        let longest = self.members.iter().map(|member| member.ejected_ms(self.now)).max().unwrap();
        self.wait(longest)
    }

    /// Every isolate sends a request. Returns those that are probes: at most one while leases are
    /// in use.
    pub fn probes(&mut self) -> Vec<(usize, Ticket)> {
        let now = self.now;
        let members = self.members.iter_mut().enumerate();
        members.filter_map(|(nth, member)| Some((nth, member.request(now)?))).collect()
    }
}

/// The outcome of a request that is served.
pub const ALIVE: Outcome = Outcome::Served;

/// The outcome of a request that fails with this class.
pub fn failed(class: ErrorClass) -> Outcome {
    Outcome::failed(class, None)
}

/// The outcome of a request that is refused, with this hint.
pub fn rate_limited(hint_ms: Millis) -> Outcome {
    Outcome::failed(RateLimit, Some(hint_ms))
}

/// A region with this number of isolates. The first one has ejected the deployment, and all others
/// know it.
pub fn tripped(members: u64) -> Region {
    let mut region = Region::acquainted(members);
    region.members[0].trip(region.now);
    region.settle();
    region.wait(ms(1_000)).settle();
    assert_eq!(region.open(), 0);
    region
}

/// The isolate that holds the lease after every isolate asked for it.
pub fn leased(region: &mut Region) -> usize {
    assert!(region.probes().is_empty());
    region.wait(ms(1_000)).settle();
    let is_leased = |region: &Region, nth: usize| region.members[nth].health.snapshot(region.now)[0].leased;
    let holders: Vec<usize> = (0..region.members.len()).filter(|nth| is_leased(region, *nth)).collect();
    assert_eq!(holders.len(), 1, "{holders:?}");
    holders[0]
}

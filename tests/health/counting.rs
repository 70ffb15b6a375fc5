//! Counters on their way from isolates to the hub: whatever is lost, repeated or evicted, each
//! batch counts once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use switchyard::counters::{CounterOutbox, Counters, Family};
use switchyard::health::reason::Reason;
use switchyard::health::shard::Shard;
use switchyard::health::shard::shard_store::StoredShard;
use switchyard::health::wire::{Batch, HealthReport, ShardAnswer, VERSION, WireEjection};
use switchyard::vocabulary::peer_id::PeerId;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::Instant;

use crate::rows::Storage;
use crate::served_request::served_request;
use crate::times::{at, ms};

/// A request that used so many tokens.
fn request(outbox: &mut CounterOutbox, tokens: u64, now: Instant) {
    let (request, attempts) = served_request(tokens);
    outbox.on_request(&request, attempts, now);
}

fn requests(counters: &Counters) -> u64 {
    counters.sum(Family::Requests, &[], 0)
}

fn tokens(counters: &Counters) -> u64 {
    counters.sum(Family::Usage, &[], 0)
}

/// An object: its memory, its rows, and whether it is the hub.
struct Object {
    shard: StoredShard<Storage>,
    rows: Storage,
    is_hub: bool,
}

impl Object {
    fn new() -> Self {
        Self::of(false)
    }

    fn hub() -> Self {
        Self::of(true)
    }

    fn of(is_hub: bool) -> Self {
        let rows = Storage::default();
        Self { shard: StoredShard::new(rows.clone(), is_hub), rows, is_hub }
    }

    fn evict(&mut self) {
        self.shard = StoredShard::new(self.rows.clone(), self.is_hub);
    }

    /// What `work` returns. `None`: the storage failed, so nobody hears of it.
    fn with<T>(&self, now: Instant, work: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let seed = now.epoch_ms() + 1;
        self.shard.with(now, &mut SplitMix64::new(seed), |shard, _| work(shard)).ok()
    }

    fn report(&self, report: &HealthReport, now: Instant) -> Option<ShardAnswer> {
        // Reports travel as text.
        let report = HealthReport::parse(&report.to_json()).unwrap();
        let answer = self.with(now, |shard| shard.report(&report, now, &mut SplitMix64::new(1)))?;
        Some(ShardAnswer::parse(&answer.to_json()).unwrap())
    }

    fn totals(&self) -> (u64, u64) {
        self.with(at(0), |shard| (requests(shard.counters().gathered()), tokens(shard.counters().gathered())))
            .unwrap()
    }
}

struct Isolate {
    id: u64,
    outbox: CounterOutbox,
}

/// What happens next. The numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Request {
        isolate: usize,
        tokens: u64,
    },
    /// An isolate reports. The report stays under way.
    Report {
        isolate: usize,
    },
    /// A report under way arrives: it may be lost, or stay under way to arrive again.
    Arrive {
        report: usize,
        is_lost: bool,
        comes_again: bool,
        is_answer_lost: bool,
    },
    /// An isolate ends, with all that it has not sent. Another one takes its place.
    End {
        isolate: usize,
    },
    EvictShard,
    EvictHub,
    /// The shard reports to the hub, like an isolate.
    ReportToHub {
        is_lost: bool,
        is_answer_lost: bool,
        comes_again: bool,
    },
    /// The storage of both objects fails, or works again.
    Storage {
        fails: bool,
    },
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..1_000_u64).prop_map(|(isolate, tokens)| Step::Request { isolate, tokens }),
        6 => (0..3_usize).prop_map(|isolate| Step::Report { isolate }),
        6 => (0..8_usize, prop::bool::weighted(0.2), prop::bool::weighted(0.3), prop::bool::weighted(0.3))
            .prop_map(|(report, is_lost, comes_again, is_answer_lost)| Step::Arrive { report, is_lost, comes_again, is_answer_lost }),
        1 => (0..3_usize).prop_map(|isolate| Step::End { isolate }),
        1 => Just(Step::EvictShard),
        1 => Just(Step::EvictHub),
        4 => (prop::bool::weighted(0.2), prop::bool::weighted(0.3), prop::bool::weighted(0.2))
            .prop_map(|(is_lost, is_answer_lost, comes_again)| Step::ReportToHub { is_lost, is_answer_lost, comes_again }),
        1 => prop::bool::weighted(0.3).prop_map(|fails| Step::Storage { fails }),
        6 => (0..15_000_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

struct World {
    now: Instant,
    isolates: Vec<Isolate>,
    shard: Object,
    hub: Object,
    /// Reports under way to the shard, and late copies of reports to the hub.
    under_way: Vec<(u64, HealthReport)>,
    late_at_hub: Vec<HealthReport>,
    /// The content of each batch that the shard has taken: requests and tokens.
    taken: BTreeMap<(u64, u64), (u64, u64)>,
    /// The same, of batches that are in the memory of the shard and could not be stored yet.
    unsaved: BTreeMap<(u64, u64), (u64, u64)>,
    ended: BTreeSet<u64>,
    next_id: u64,
}

impl World {
    fn new() -> Self {
        let isolate = |id| Isolate { id, outbox: CounterOutbox::default() };
        Self {
            now: at(1_000_000),
            isolates: vec![isolate(1), isolate(2), isolate(3)],
            shard: Object::new(),
            hub: Object::hub(),
            under_way: Vec::new(),
            late_at_hub: Vec::new(),
            taken: BTreeMap::new(),
            unsaved: BTreeMap::new(),
            ended: BTreeSet::new(),
            next_id: 4,
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Request { isolate, tokens } => {
                request(&mut self.isolates[isolate].outbox, tokens, self.now);
            }
            Step::Report { isolate } => self.send(isolate),
            Step::Arrive { report, is_lost, comes_again, is_answer_lost } => {
                if report < self.under_way.len() {
                    self.arrive(report, is_lost, comes_again, is_answer_lost);
                }
            }
            Step::End { isolate } => {
                let ended = std::mem::replace(
                    &mut self.isolates[isolate],
                    Isolate { id: self.next_id, outbox: CounterOutbox::default() },
                );
                self.ended.insert(ended.id);
                self.next_id += 1;
            }
            Step::EvictShard => {
                self.shard.evict();
                self.unsaved.clear();
            }
            Step::EvictHub => self.hub.evict(),
            Step::ReportToHub { is_lost, is_answer_lost, comes_again } => {
                self.tell_hub(is_lost, is_answer_lost, comes_again);
            }
            Step::Storage { fails } => {
                for object in [&self.shard, &self.hub] {
                    object.rows.0.borrow_mut().fails = fails;
                }
            }
            Step::Wait { ms: length } => self.now += ms(length),
        }
    }

    fn send(&mut self, isolate: usize) {
        let now = self.now;
        let Isolate { id, outbox } = &mut self.isolates[isolate];
        let report = HealthReport {
            v: VERSION,
            reporter: PeerId(*id),
            counters: outbox.batch(now),
            ..HealthReport::default()
        };
        self.under_way.push((*id, report));
    }

    fn arrive(&mut self, at: usize, is_lost: bool, comes_again: bool, is_answer_lost: bool) {
        let (id, report) = self.under_way[at].clone();
        if !comes_again {
            self.under_way.remove(at);
        }
        if is_lost {
            return;
        }
        if let Some(batch) = &report.counters {
            let counters = batch.counters();
            self.unsaved.insert((id, batch.n), (requests(&counters), tokens(&counters)));
        }
        let Some(answer) = self.shard.report(&report, self.now) else { return };
        self.taken.append(&mut self.unsaved);
        if let Some(isolate) = self.isolates.iter_mut().find(|isolate| isolate.id == id)
            && !is_answer_lost
        {
            isolate.outbox.on_counted(answer.counted);
        }
    }

    fn tell_hub(&mut self, is_lost: bool, is_answer_lost: bool, comes_again: bool) {
        let now = self.now;
        if let Some(late) = self.late_at_hub.pop() {
            self.hub.report(&late, now);
        }
        // What the shard sends leaves it only when it is stored.
        let Some(report) = self.shard.with(now, |shard| shard.report_to_hub(now)) else { return };
        self.taken.append(&mut self.unsaved);
        if comes_again {
            self.late_at_hub.push(report.clone());
        }
        let answer = if is_lost { None } else { self.hub.report(&report, now) };
        self.shard.with(now, |shard| match answer.filter(|_| !is_answer_lost) {
            Some(answer) => shard.merge_hub_answer(&answer, now),
            None => shard.on_hub_failure(now),
        });
    }

    /// Everything works, until nothing waits any more.
    fn drain(&mut self) {
        self.run(&Step::Storage { fails: false });
        while !self.under_way.is_empty() {
            self.arrive(0, false, false, false);
        }
        for _ in 0..2 {
            self.now += ms(11_000);
            for isolate in 0..self.isolates.len() {
                self.send(isolate);
            }
            while !self.under_way.is_empty() {
                self.arrive(0, false, false, false);
            }
        }
        for _ in 0..3 {
            self.now += ms(11_000);
            self.tell_hub(false, false, false);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn each_batch_counts_once_whatever_is_lost_repeated_or_evicted(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.drain();
        let sum = |of: fn(&(u64, u64)) -> u64| world.taken.values().map(of).sum::<u64>();
        prop_assert_eq!(world.hub.totals(), (sum(|taken| taken.0), sum(|taken| taken.1)));
        prop_assert_eq!(world.shard.totals(), (0, 0), "the shard has passed everything on");
        prop_assert!(world.isolates.iter().all(|isolate| isolate.outbox.is_empty()));
        // An isolate that did not end has lost nothing.
        let asked: BTreeMap<u64, u64> = steps_of(&steps, &world);
        for isolate in &world.isolates {
            let taken = world.taken.iter().filter(|((id, _), _)| *id == isolate.id);
            prop_assert_eq!(taken.map(|(_, taken)| taken.0).sum::<u64>(), asked.get(&isolate.id).copied().unwrap_or(0));
        }
        // The totals outlive the memory of the hub.
        let before = world.hub.totals();
        world.hub.evict();
        prop_assert_eq!(world.hub.totals(), before);
    }
}

/// How many requests each isolate had, by the steps alone.
fn steps_of(steps: &[Step], world: &World) -> BTreeMap<u64, u64> {
    let (mut ids, mut next, mut found) = (vec![1, 2, 3], 4, BTreeMap::new());
    for step in steps {
        match *step {
            Step::Request { isolate, .. } => *found.entry(ids[isolate]).or_insert(0) += 1,
            Step::End { isolate } => {
                ids[isolate] = next;
                next += 1;
            }
            _ => {}
        }
    }
    assert_eq!(ids, world.isolates.iter().map(|isolate| isolate.id).collect::<Vec<_>>());
    found
}

fn ejected(reason: Reason) -> Batch {
    let ejected = Some(WireEjection { remaining_ms: ms(60_000), reason });
    Batch { ejected, ..Batch::default() }
}

fn report_of(reporter: u64, reason: Reason) -> HealthReport {
    let deployments = BTreeMap::from([("openai@1".to_owned(), ejected(reason))]);
    HealthReport { v: VERSION, reporter: PeerId(reporter), deployments, ..HealthReport::default() }
}

fn ejections(object: &Object, labels: &[(usize, &str)]) -> u64 {
    object.with(at(0), |shard| shard.counters().gathered().sum(Family::Ejections, labels, 0)).unwrap()
}

#[test]
fn an_ejection_counts_once_for_its_region_with_its_reason() {
    let (shard, now) = (Object::new(), at(1_000_000));
    shard.report(&report_of(1, Reason::Quota), now);
    shard.report(&report_of(2, Reason::Quota), now + ms(5));
    shard.report(&report_of(1, Reason::Quota), now + ms(30_000));
    assert_eq!(ejections(&shard, &[(0, "openai"), (1, "quota")]), 1);
    assert_eq!(ejections(&shard, &[]), 1);
    shard.with(now, |shard| shard.reset("openai@1", now + ms(40_000)));
    shard.report(&report_of(2, Reason::Auth), now + ms(50_000));
    assert_eq!(ejections(&shard, &[(1, "auth")]), 1);
}

#[test]
fn the_hub_counts_the_ejections_of_the_regions_and_none_of_its_own() {
    let (first, second, hub, now) = (Object::new(), Object::new(), Object::hub(), at(1_000_000));
    first.report(&report_of(1, Reason::Quota), now);
    let exchange = |shard: &Object, now: Instant| {
        let report = shard.with(now, |shard| shard.report_to_hub(now)).unwrap();
        let answer = hub.report(&report, now).unwrap();
        shard.with(now, |shard| shard.merge_hub_answer(&answer, now));
    };
    exchange(&first, now);
    assert_eq!(ejections(&hub, &[]), 1);
    // Another region hears of it, and ejects it there: that is one more.
    exchange(&second, now + ms(20_000));
    exchange(&second, now + ms(40_000));
    assert_eq!(ejections(&hub, &[(0, "openai"), (1, "quota")]), 2);
    exchange(&first, now + ms(60_000));
    exchange(&second, now + ms(60_000));
    assert_eq!(ejections(&hub, &[]), 2);
}

#[test]
fn the_shard_wants_to_report_when_a_batch_is_due() {
    let (shard, now) = (Object::new(), at(1_000_000));
    let (mut outbox, mut n) = (CounterOutbox::default(), 0);
    let mut report = |now: Instant| {
        request(&mut outbox, 1, now);
        n += 1;
        let counters = outbox.batch(now);
        let report = HealthReport { v: VERSION, n, reporter: PeerId(1), counters, ..HealthReport::default() };
        outbox.on_counted(shard.report(&report, now).unwrap().counted);
    };
    let hub_at = |now: Instant| shard.with(now, |shard| shard.hub_at()).unwrap();
    let alarm_at = |now: Instant| shard.with(now, Shard::take_alarm).unwrap();
    report(now);
    assert!(hub_at(now).unwrap() <= now);
    let sent = shard.with(now, |shard| shard.report_to_hub(now)).unwrap();
    assert_eq!(requests(&sent.counters.unwrap().counters()), 1);
    let answer = ShardAnswer { v: VERSION, n: 1, counted: 1, ..ShardAnswer::default() };
    shard.with(now, |shard| shard.merge_hub_answer(&answer, now));
    assert_eq!(alarm_at(now), None);
    report(now + ms(10_000));
    assert_eq!(alarm_at(now), Some(now + ms(15_000)), "five seconds after it came");
}

#[test]
fn an_object_of_an_older_version_counts_nothing_and_loses_nothing() {
    let mut outbox = CounterOutbox::default();
    request(&mut outbox, 1, at(1_000_000));
    outbox.batch(at(1_001_000)).unwrap();
    // Its answers do not know the member.
    let answer =
        ShardAnswer::parse(r#"{"v":1,"n":1,"epoch":"0a","change":0,"next_ms":1000,"deployments":{}}"#)
            .unwrap();
    assert!(!outbox.on_counted(answer.counted));
    assert_eq!(requests(&outbox.batch(at(1_011_000)).unwrap().counters()), 1);
}

#[test]
fn counters_that_are_not_understood_cost_nothing_else() {
    for counters in
        ["7", "[]", r#"{"n":"one"}"#, r#"{"n":1,"labels":7}"#, r#"{"n":1,"series":[[1,-1]]}"#, "null"]
    {
        let text = format!(r#"{{"v":1,"n":3,"reporter":"0a","counters":{counters}}}"#);
        let report = HealthReport::parse(&text).unwrap();
        assert_eq!((report.n, report.counters), (3, None), "{counters}");
    }
}

#[test]
fn the_alarm_is_set_once_for_what_waits_and_sends_it() {
    let (shard, now) = (Object::new(), at(1_000_000));
    let mut outbox = CounterOutbox::default();
    let mut rng = SplitMix64::new(3);
    let mut ask = |now: Instant| {
        request(&mut outbox, 1, now);
        let report = HealthReport {
            v: VERSION,
            reporter: PeerId(1),
            counters: outbox.batch(now),
            ..HealthReport::default()
        };
        outbox.on_counted(outbox.next_number());
        let text = report.to_json();
        shard.shard.with(now, &mut rng, |shard, rng| shard.on_request("report", &text, now, rng)).unwrap()
    };
    let due = now + ms(5_000);
    assert_eq!(ask(now).alarm_at, Some(due));
    assert_eq!(ask(now + ms(11_000)).alarm_at, None, "it is set");
    assert!(!shard.with(now, |shard| shard.on_alarm(due - ms(1))).unwrap(), "too early");
    assert!(shard.with(now, |shard| shard.on_alarm(due)).unwrap());
    shard.with(due, |shard| shard.report_to_hub(due));
    // The batch goes again if the hub does not answer.
    let next = shard.with(due, Shard::take_alarm).unwrap();
    assert_eq!(next, Some(due + ms(10_000)));
    let answer = ShardAnswer { v: VERSION, n: 1, counted: 1, ..ShardAnswer::default() };
    shard.with(due, |shard| shard.merge_hub_answer(&answer, due));
    shard.with(due, |shard| assert!(!shard.on_alarm(next.unwrap())));
    assert_eq!(shard.with(due, Shard::take_alarm).unwrap(), None, "nothing waits");
}

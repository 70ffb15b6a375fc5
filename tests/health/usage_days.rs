//! The hub keeps what was used on each day, whatever is repeated, evicted or not stored.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use switchyard::counters::usage_days::MOST_DAYS;
use switchyard::counters::{CounterBatch, Counters, Family};
use switchyard::health::shard::shard_store::StoredShard;
use switchyard::health::wire::{HealthReport, VERSION};
use switchyard::vocabulary::peer_id::PeerId;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::Instant;

use crate::rows::Storage;
use crate::served_request::served_request;
use crate::times::ms;

const DAY_MS: u64 = 86_400_000;
/// The beginning of 2026-11-30.
const START: Instant = Instant::from_epoch_ms(20_787 * DAY_MS);

/// The hub: its memory and its rows.
struct Hub {
    shard: StoredShard<Storage>,
    rows: Storage,
}

impl Hub {
    fn new() -> Self {
        Self::with(Storage::default(), true)
    }

    fn with(rows: Storage, is_hub: bool) -> Self {
        Self { shard: StoredShard::new(rows.clone(), is_hub), rows }
    }

    fn evict(&mut self) {
        self.shard = StoredShard::new(self.rows.clone(), true);
    }

    /// Whether the report is answered.
    fn report(&self, reporter: u64, n: u64, tokens: u64, now: Instant) -> bool {
        let mut counters = Counters::default();
        let (request, attempts) = served_request(tokens);
        counters.on_request(&request, attempts);
        let counters = Some(CounterBatch::new(n, &counters));
        let report =
            HealthReport { v: VERSION, reporter: PeerId(reporter), counters, ..HealthReport::default() };
        self.shard.answer("report", &report.to_json(), now, &mut SplitMix64::new(1)).is_ok()
    }

    /// The tokens of each day that has some.
    fn days(&self, now: Instant) -> BTreeMap<String, u64> {
        let found = self.asked(&format!("days/client/{MOST_DAYS}"), now);
        let days = found["days"].as_array().unwrap().iter();
        let tokens = |day: &Value| day["rows"][0]["input_tokens"].as_u64();
        days.filter_map(|day| Some((day["day"].as_str().unwrap().to_owned(), tokens(day)?))).collect()
    }

    fn asked(&self, path: &str, now: Instant) -> Value {
        let answer = self.shard.answer(path, "", now, &mut SplitMix64::new(1)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    fn total(&self, now: Instant) -> u64 {
        let rng = &mut SplitMix64::new(1);
        self.shard.with(now, rng, |shard, _| shard.counters().gathered().sum(Family::Usage, &[], 0)).unwrap()
    }

    fn fails(&self, fails: bool) {
        self.rows.0.borrow_mut().fails = fails;
    }

    fn rows_of_days(&self) -> Vec<String> {
        self.rows.0.borrow().counters.keys().filter(|row| row.starts_with("day/")).cloned().collect()
    }
}

fn days<const N: usize>(found: [(&str, u64); N]) -> BTreeMap<String, u64> {
    found.map(|(day, tokens)| (day.to_owned(), tokens)).into()
}

#[test]
fn a_batch_is_on_the_day_on_which_it_reaches_the_hub() {
    let mut hub = Hub::new();
    assert!(hub.report(1, 1, 10, START));
    assert!(hub.report(1, 2, 20, START + ms(DAY_MS - 1)));
    hub.evict();
    assert!(hub.report(1, 2, 20, START + ms(DAY_MS)), "it comes again");
    assert!(hub.report(1, 3, 400, START + ms(DAY_MS)));
    let now = START + ms(DAY_MS + 5);
    assert_eq!(hub.days(now), days([("2026-11-30", 30), ("2026-12-01", 400)]));
    let found = hub.asked("days/client/1", now);
    assert_eq!(
        (&found["days"][0]["day"], &found["days"][0]["is_over"]),
        (&"2026-12-01".into(), &false.into())
    );
}

#[test]
fn totals_from_before_there_were_days_are_on_none() {
    let hub = Hub::with(Storage::default(), false);
    assert!(hub.report(1, 1, 10, START));
    assert!(hub.rows_of_days().is_empty(), "the shard of a region keeps no days");
    assert!(hub.asked("days/client/7", START)["days"].as_array().unwrap().is_empty());
    let hub = Hub::with(hub.rows, true);
    assert!(hub.report(1, 2, 20, START + ms(5)));
    assert_eq!(hub.days(START + ms(9)), days([("2026-11-30", 20)]));
    assert_eq!(hub.total(START + ms(9)), 30);
}

#[test]
fn days_beyond_those_that_are_kept_are_removed() {
    let hub = Hub::new();
    for day in 0..60 {
        assert!(hub.report(1, day + 1, 10, START + ms(day * DAY_MS)));
    }
    let rows = hub.rows_of_days();
    assert_eq!((rows.len() as u64, rows[0].as_str()), (MOST_DAYS, "day/20812"));
    let found = hub.days(START + ms(59 * DAY_MS));
    assert_eq!(found.len() as u64, MOST_DAYS);
    assert!(found.values().all(|tokens| *tokens == 10));
}

#[test]
fn a_day_writes_one_row_and_a_batch_none_for_the_sake_of_days() {
    let hub = Hub::new();
    hub.report(1, 1, 10, START);
    let writes = |n: u64, now: Instant| {
        let before = hub.rows.writes();
        hub.report(1, n, 10, now);
        hub.rows.writes() - before
    };
    assert_eq!(writes(2, START + ms(1)), 2, "series, the number of the reporter");
    assert_eq!(writes(3, START + ms(DAY_MS)), 3);
    assert_eq!(writes(4, START + ms(DAY_MS + 1)), 2);
}

#[test]
fn a_question_that_is_not_understood_is_refused() {
    let hub = Hub::new();
    for path in ["days/client/0", "days/client/36", "days/key/7", "days//", "days/client/7/7"] {
        let answer = hub.shard.answer(path, "", START, &mut SplitMix64::new(1)).unwrap();
        assert_eq!(answer.status, 400, "{path}");
    }
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A reporter sends its batch, again until it is answered. A copy may come later.
    Batch {
        reporter: usize,
        tokens: u64,
        is_answer_lost: bool,
        comes_again: bool,
    },
    Evict,
    /// The storage fails, or works again.
    Storage {
        fails: bool,
    },
    /// The clock goes on, or steps back.
    Clock {
        is_forward: bool,
        length: u64,
    },
}

fn step(can_fail: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..REPORTERS, 1..1_000_u64, prop::bool::weighted(0.3), any::<bool>()).prop_map(
            |(reporter, tokens, is_answer_lost, comes_again)| {
                Step::Batch { reporter, tokens, is_answer_lost, comes_again }
            }
        ),
        2 => Just(Step::Evict),
        2 => prop::bool::weighted(0.3).prop_map(move |fails| Step::Storage { fails: fails && can_fail }),
        4 => (prop::bool::weighted(0.8), 0..DAY_MS * 3 / 2)
            .prop_map(|(is_forward, length)| Step::Clock { is_forward, length }),
    ]
}

const REPORTERS: usize = 3;

struct World {
    hub: Hub,
    now: Instant,
    /// The number and the tokens of the batch that each reporter sends until it is answered.
    waiting: [Option<(u64, u64)>; REPORTERS],
    next: [u64; REPORTERS],
    /// Copies that come later: reporter, number, tokens.
    late: Vec<(usize, u64, u64)>,
    /// Which batches were sent, with their tokens.
    sent: BTreeMap<(usize, u64), u64>,
    /// The latest day on which the hub was called.
    running: u64,
    /// The tokens of each day, if the storage never fails.
    expected: BTreeMap<u64, u64>,
}

impl World {
    fn new() -> Self {
        Self {
            hub: Hub::new(),
            now: START,
            waiting: [None; REPORTERS],
            next: [1; REPORTERS],
            late: Vec::new(),
            sent: BTreeMap::new(),
            running: 0,
            expected: BTreeMap::new(),
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Batch { reporter, tokens, is_answer_lost, comes_again } => {
                if let Some((reporter, n, tokens)) = self.late.pop() {
                    self.report(reporter, n, tokens);
                }
                self.send(reporter, tokens, is_answer_lost, comes_again);
            }
            Step::Evict => self.hub.evict(),
            Step::Storage { fails } => self.hub.fails(fails),
            Step::Clock { is_forward: true, length } => self.now = (self.now + ms(length)).min(LAST),
            Step::Clock { is_forward: false, length } => self.now = (self.now - ms(length)).max(START),
        }
    }

    fn send(&mut self, reporter: usize, tokens: u64, is_answer_lost: bool, comes_again: bool) {
        let (n, tokens) = *self.waiting[reporter].get_or_insert((self.next[reporter], tokens));
        if self.sent.insert((reporter, n), tokens).is_none() {
            *self.expected.entry(self.running.max(self.now.epoch_ms() / DAY_MS)).or_default() += tokens;
        }
        let is_answered = self.report(reporter, n, tokens);
        if is_answered && !is_answer_lost {
            self.waiting[reporter] = None;
            self.next[reporter] += 1;
        }
        if comes_again {
            self.late.push((reporter, n, tokens));
        }
    }

    fn report(&mut self, reporter: usize, n: u64, tokens: u64) -> bool {
        self.running = self.running.max(self.now.epoch_ms() / DAY_MS);
        self.hub.report(reporter as u64, n, tokens, self.now)
    }

    /// The storage works, and all that waits is sent.
    fn settle(&mut self) {
        self.hub.fails(false);
        for reporter in 0..REPORTERS {
            if self.waiting[reporter].is_some() {
                self.send(reporter, 0, false, false);
            }
        }
        self.hub.evict();
    }
}

/// Less than the days that are kept after the beginning.
const LAST: Instant = Instant::from_epoch_ms((20_787 + 30) * DAY_MS);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_days_add_up_to_the_growth_of_the_totals(steps in prop::collection::vec(step(true), 0..60)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.settle();
        let (total, now) = (world.hub.total(world.now), world.now);
        prop_assert_eq!(total, world.sent.values().sum::<u64>(), "each batch counts once");
        prop_assert_eq!(world.hub.days(now).values().sum::<u64>(), total);
    }

    #[test]
    fn each_batch_is_on_the_day_that_runs_when_it_comes_first(
        steps in prop::collection::vec(step(false), 0..60),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        let found: Vec<u64> = world.hub.days(world.now).into_values().collect();
        let expected: Vec<u64> = world.expected.into_values().collect();
        prop_assert_eq!(found, expected);
    }
}

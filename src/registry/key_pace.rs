//! How often isolates report to the registry what keys used: the more of them do, the more seldom.
//! So the one registry gets a bounded number of messages, however many isolates serve requests with
//! keys.
//!
//! The isolates are counted in rounds. A round is as long as the time between two messages of an
//! isolate, so each one that is there reports something in it, and counts about once: twice if it
//! repeats a message or begins a new hour in it, which makes the pace a little slower.

use super::version_ledger::{RegistryStorage, RowKind};
use crate::keys::key_uses::REPORT_AFTER_MS;
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::{Instant, Millis};

/// How many messages the registry should get in a second. An isolate that falls idle may send one
/// more, so it gets at most twice as many.
pub(super) const MESSAGES_PER_SECOND: u64 = 50;
/// The longest time between two messages of an isolate. What it has not reported is lost with it.
const LONGEST_MS: Millis = Millis::new(600_000);

/// The rounds in which isolates are counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyPace {
    began_at: Instant,
    length_ms: Millis,
    /// The isolates in the round before.
    before: u64,
    /// The isolates in this round so far.
    isolates: u64,
}

impl KeyPace {
    pub(super) fn read<S: RegistryStorage>(rows: &S) -> Result<Self, S::Error> {
        let row = rows.rows(RowKind::KeyPace, 0, 1)?;
        let numbers = row.first().and_then(|(_, row)| json_value::parse::<[u64; 4]>(row));
        let Some([began, length, before, isolates]) = numbers else { return Ok(Self::default()) };
        let (began_at, length_ms) = (Instant::from_epoch_ms(began), Millis::new(length));
        Ok(Self { began_at, length_ms, before, isolates })
    }

    pub(super) fn write<S: RegistryStorage>(&self, rows: &S) -> Result<(), S::Error> {
        let numbers = [self.began_at.epoch_ms(), self.length_ms.get(), self.before, self.isolates];
        rows.put(RowKind::KeyPace, 0, 0, &json(&numbers))
    }

    /// An isolate reports something. `reported_at`: when it did the last time.
    pub(super) fn on_message(&mut self, reported_at: Option<Instant>, now: Instant) {
        let (age, length) = (now - self.began_at, self.length_ms);
        if age >= length || now < self.began_at {
            // After a round without messages, nobody is known.
            self.before = if age < length * 2 { self.isolates } else { 0 };
            (self.began_at, self.isolates) = (now, 0);
            self.length_ms = self.next_ms();
        }
        if reported_at.is_none_or(|at| at < self.began_at) {
            self.isolates += 1;
        }
    }

    /// After what time an isolate that reports something now may report more.
    pub(super) fn next_ms(&self) -> Millis {
        let isolates = self.isolates.max(self.before);
        let shared = Millis::new(isolates.saturating_mul(1_000 / MESSAGES_PER_SECOND));
        shared.max(REPORT_AFTER_MS).min(LONGEST_MS)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::keys::key_uses::{KeyUse, KeyUses, ReportStep};
    use crate::registry::key_ledger::{KeyEntry, KeyLedger, KeysRequest};
    use crate::registry::memory_rows::Rows;
    use crate::vocabulary::rng::{Rng, SplitMix64};
    use crate::vocabulary::time::short::ms;

    const START: Instant = Instant::from_epoch_ms(1_800_000_000_000);
    const ONE: KeyUse = KeyUse { requests: 1, tokens: 1, micro_usd: 1 };

    /// Isolates that use one key, and the registry, in virtual time.
    struct Crowd {
        isolates: Vec<KeyUses>,
        rows: Rows,
        /// When what happens: an isolate, and the work that goes on, or a use.
        events: BTreeSet<(Instant, usize, Option<Instant>)>,
        uses: u64,
        /// The messages of each second.
        messages: Vec<usize>,
        rng: SplitMix64,
    }

    impl Crowd {
        /// So many isolates, each with a use about every `every_ms` until `until`. The last of them
        /// goes on twice as long as the first.
        fn run(count: usize, every_ms: u64, until: Millis) -> Self {
            let hash = "ab".repeat(32);
            let (rows, mut rng) = (Rows::default(), SplitMix64::new(7));
            KeyLedger(&rows).add(vec![KeyEntry { hash, ..KeyEntry::default() }], "", START).unwrap();
            let mut isolates = Vec::new();
            isolates.resize_with(count, KeyUses::default);
            let events =
                (0..count).map(|isolate| (START + ms(rng.next_u64() % every_ms), isolate, None)).collect();
            let mut crowd = Self { isolates, rows, events, uses: 0, messages: Vec::new(), rng };
            while let Some((now, isolate, work)) = crowd.events.pop_first() {
                match work {
                    Some(began_at) => crowd.work(isolate, began_at, now),
                    None if now > START + until + (until / count as u64) * isolate as u64 => {}
                    None => {
                        crowd.uses += 1;
                        if crowd.isolates[isolate].note(1, ONE, now) {
                            crowd.events.insert((now, isolate, Some(now)));
                        }
                        let next = now + ms(every_ms / 2 + crowd.rng.next_u64() % every_ms);
                        crowd.events.insert((next, isolate, None));
                    }
                }
            }
            crowd
        }

        fn work(&mut self, isolate: usize, began_at: Instant, now: Instant) {
            let uses = &mut self.isolates[isolate];
            match uses.next_step(began_at, now) {
                ReportStep::Wait(at) => {
                    assert!(at > now && at <= began_at + ms(18_000), "the platform ends longer work");
                    self.events.insert((at, isolate, Some(began_at)));
                }
                ReportStep::Send => {
                    let second = usize::try_from((now - START).get() / 1_000).unwrap();
                    self.messages.resize(self.messages.len().max(second + 1), 0);
                    self.messages[second] += 1;
                    let message = uses.take(self.rng.next_u64(), now).unwrap();
                    let next_ms =
                        KeyLedger(&self.rows).on_used(&KeysRequest::of_uses(&message), now).unwrap();
                    uses.on_counted(&message, next_ms, now);
                    self.events.insert((now, isolate, Some(began_at)));
                }
                ReportStep::End => {}
            }
        }

        fn counted(&self) -> u64 {
            let view = KeyLedger(&self.rows).view(1, START).unwrap().unwrap();
            let view: serde_json::Value = serde_json::from_str(&view).unwrap();
            view["usage"]["total"]["requests"].as_u64().unwrap()
        }

        /// The most messages of a second, on average over so many seconds, after this second.
        fn most(&self, after: usize, seconds: usize) -> usize {
            let sum = |window: &[usize]| window.iter().sum::<usize>() / seconds;
            self.messages[after..].windows(seconds).map(sum).max().unwrap()
        }
    }

    #[test]
    fn few_isolates_tell_every_ten_seconds_and_lose_nothing_at_their_end() {
        for count in [1, 30, 400] {
            let crowd = Crowd::run(count, 1_000, ms(120_000));
            let expected = count * 12;
            let messages: usize = crowd.messages.iter().sum();
            assert!((expected..=expected * 2 + 2).contains(&messages), "{count}: {messages}");
            assert_eq!(crowd.counted(), crowd.uses, "{count}");
        }
    }

    #[test]
    fn the_registry_gets_a_bounded_number_of_messages_from_ten_thousand_isolates() {
        // After half a minute, each isolate has reported something, and knows how many there are.
        // In the second half, 33 isolates a second end, and report the rest.
        let busy = Crowd::run(10_000, 5_000, ms(300_000));
        assert!((1..=100).contains(&busy.most(30, 10)), "{}", busy.most(30, 10));
        assert!((40..=50 + 33).contains(&busy.most(30, 100)), "{}", busy.most(30, 100));
        assert_eq!(busy.counted(), busy.uses, "what is left at the end is reported, too");
        // So few requests that after each one the isolate may fall idle.
        let sparse = Crowd::run(10_000, 40_000, ms(400_000));
        assert!(sparse.most(150, 10) <= 200, "{}", sparse.most(150, 10));
        assert!(sparse.most(150, 200) <= 100, "{}", sparse.most(150, 200));
    }

    #[test]
    fn isolates_that_are_gone_do_not_count_for_long() {
        let (rows, mut pace) = (Rows::default(), KeyPace::default());
        for _ in 0..5_000 {
            pace.on_message(None, START);
        }
        assert_eq!(pace.next_ms(), ms(100_000));
        pace.write(&rows).unwrap();
        pace = KeyPace::read(&rows).unwrap();
        for round in 1..30 {
            pace.on_message(Some(START), START + ms(10_000) * round);
        }
        assert_eq!(pace.next_ms(), ms(10_000));
        for _ in 0..1_000_000 {
            pace.on_message(None, START + ms(300_000));
        }
        assert_eq!(pace.next_ms(), LONGEST_MS);
        // A clock that went back.
        pace.on_message(None, START);
        pace.on_message(None, START + ms(2_000_000));
        assert_eq!(pace.next_ms(), REPORT_AFTER_MS);
    }
}

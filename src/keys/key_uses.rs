//! What issued keys used, until the registry has counted it.
//!
//! A message has a number, and is repeated with this number until the registry has answered. So
//! what is in it counts once, whatever becomes of messages and answers.
//!
//! The registry says when it expects the next message. Work in the background sends it, and lasts
//! for a while only: it belongs to a request, and the platform ends it half a minute later. So
//! while keys are used, other work begins in time. When no use comes any more, the last work sends
//! what is left, before it is expected: the isolate may not live until then. It does so once for
//! each message that is expected, so the registry gets at most two in this time.

use crate::vocabulary::time::{Instant, Millis};

/// The most keys of one message. With so many, it is sent at once. Only while a message is on its
/// way, further ones are not counted.
const MOST_USES: usize = 4_096;
/// A reporter has a new name each hour, so that the registry need not remember names for ever.
pub const HOUR_MS: Millis = Millis::new(3_600_000);
/// The part of a name that is random, in bits. The hour is before it.
const RANDOM_BITS: u32 = 32;
/// How long uses are gathered, at least, before they are reported to the registry.
pub const REPORT_AFTER_MS: Millis = Millis::new(10_000);
/// How long work in the background waits. With the answer of the registry, that is less than the
/// half minute that the platform allows.
const WORK_MS: Millis = Millis::new(18_000);
/// So long after the latest work other work begins, if that one cannot wait long enough.
const WORK_AGAIN_MS: Millis = Millis::new(8_000);
/// The work of a request may end with the request. Then another one sends.
const DEAD_AFTER_MS: Millis = Millis::new(30_000);

/// What work in the background does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportStep {
    /// It waits until then.
    Wait(Instant),
    /// It sends the message that [`KeyUses::take`] returns.
    Send,
    /// It ends.
    End,
}

/// What a key used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Requests that were served, or failed at a provider.
    pub requests: u64,
    /// Tokens of input and output.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
}

impl KeyUse {
    /// Adds another use.
    pub fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.micro_usd = self.micro_usd.saturating_add(other.micro_usd);
    }
}

/// A message to the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsesMessage {
    /// The name of the reporter.
    pub reporter: u64,
    /// The number of the message.
    pub number: u64,
    /// For each key: its number, and what it used since the last message.
    pub uses: Vec<(u64, KeyUse)>,
}

/// What was used and is not counted yet.
#[derive(Debug, Default)]
pub struct KeyUses {
    /// By the number of the key, in order.
    uses: Vec<(u64, KeyUse)>,
    /// The message that may not have arrived.
    sent: Option<UsesMessage>,
    reporter: u64,
    number: u64,
    /// Since when there is something that no message has.
    gathered_since: Option<Instant>,
    /// When the latest work in the background began, if it has not ended.
    latest_work: Option<Instant>,
    /// When the registry expects the next message, and after what time the one that follows it.
    next_at: Instant,
    next_ms: Millis,
    /// A message was sent that was not expected yet.
    has_sent_early: bool,
}

/// The hour in the name of a reporter.
pub const fn hour_of(reporter: u64) -> u64 {
    reporter >> RANDOM_BITS
}

/// The first name of a reporter in this hour.
pub const fn first_of(hour: u64) -> u64 {
    hour << RANDOM_BITS
}

impl KeyUses {
    /// The key of this number used something. Returns whether the caller has to begin
    /// [work](Self::next_step) in the background.
    pub fn note(&mut self, key: u64, used: KeyUse, now: Instant) -> bool {
        let found = self.uses.binary_search_by_key(&key, |(key, _)| *key);
        let is_new = found.is_err();
        match found {
            Ok(place) => {
                if let Some((_, sum)) = self.uses.get_mut(place) {
                    sum.add(used);
                }
            }
            Err(_) if self.uses.len() >= MOST_USES => return false,
            Err(place) => self.uses.insert(place, (key, used)),
        }
        self.gathered_since.get_or_insert(now);
        let due_at = self.due_at();
        // Work that has begun sleeps until the time that was expected then.
        let has_filled = is_new && self.is_full();
        let has_work_in_time = !has_filled
            && self.latest_work.is_some_and(|began_at| {
                let age = now - began_at;
                age < WORK_AGAIN_MS || (age < DEAD_AFTER_MS && due_at <= began_at + WORK_MS)
            });
        if !has_work_in_time {
            self.latest_work = Some(now);
        }
        !has_work_in_time
    }

    /// Whether the next message has no room for further keys.
    fn is_full(&self) -> bool {
        self.sent.is_none() && self.uses.len() >= MOST_USES
    }

    /// When the next message goes.
    fn due_at(&self) -> Instant {
        if self.is_full() {
            return Instant::EPOCH;
        }
        self.next_at.max(self.gathered_since.map_or(Instant::EPOCH, |since| since + REPORT_AFTER_MS))
    }

    /// What the work does now that began at this time.
    pub fn next_step(&mut self, began_at: Instant, now: Instant) -> ReportStep {
        let (due_at, ends_at) = (self.due_at(), began_at + WORK_MS);
        let is_latest = self.latest_work == Some(began_at);
        let has_rest = self.sent.is_some() || !self.uses.is_empty();
        if has_rest {
            if now < due_at.min(ends_at) {
                return ReportStep::Wait(due_at.min(ends_at));
            }
            if now >= due_at {
                return ReportStep::Send;
            }
        }
        if is_latest {
            self.latest_work = None;
            if has_rest && !std::mem::replace(&mut self.has_sent_early, true) {
                return ReportStep::Send;
            }
        }
        ReportStep::End
    }

    /// The next message. `random`: for the name of the reporter.
    pub fn take(&mut self, random: u64, now: Instant) -> Option<UsesMessage> {
        if now >= self.next_at {
            self.has_sent_early = false;
        }
        self.next_at = now + self.next_ms.max(REPORT_AFTER_MS);
        let hour = now.period(HOUR_MS);
        // The registry does not know the number of an older one, and would not count it.
        self.sent = self.sent.take().filter(|sent| hour_of(sent.reporter) + 1 >= hour);
        if self.sent.is_none() && !self.uses.is_empty() {
            if hour_of(self.reporter) != hour {
                (self.reporter, self.number) = (first_of(hour) | random >> (u64::BITS - RANDOM_BITS), 0);
            }
            self.number += 1;
            self.gathered_since = None;
            let uses = std::mem::take(&mut self.uses);
            self.sent = Some(UsesMessage { reporter: self.reporter, number: self.number, uses });
        }
        self.sent.clone()
    }

    /// The registry has answered to this message, and expects the next one after this time.
    pub fn on_counted(&mut self, message: &UsesMessage, next_ms: Millis, now: Instant) {
        if self.sent.as_ref() == Some(message) {
            self.sent = None;
        }
        self.next_ms = next_ms.max(REPORT_AFTER_MS);
        self.next_at = now + self.next_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;

    const START: Instant = Instant::from_epoch_ms(1_800_000_000_000);
    const ONE: KeyUse = KeyUse { requests: 1, tokens: 42, micro_usd: 150 };

    fn requests(message: &UsesMessage) -> Vec<(u64, u64)> {
        message.uses.iter().map(|(key, used)| (*key, used.requests)).collect()
    }

    #[test]
    fn one_message_at_a_time_has_a_bounded_number_of_keys_and_goes_at_once_when_it_is_full() {
        let mut uses = KeyUses::default();
        assert!(uses.note(0, ONE, START));
        let begun: Vec<u64> = (0..5_000).filter(|key| uses.note(*key, ONE, START)).collect();
        assert_eq!(begun, [MOST_USES as u64 - 1], "work waits already, and now there is no more room");
        assert_eq!(uses.next_step(START, START), ReportStep::Send);
        let message = uses.take(7, START).unwrap();
        assert_eq!((message.number, message.uses.len(), requests(&message)[0]), (1, MOST_USES, (0, 2)));
        assert!(!uses.note(0, ONE, START), "the work goes on");
    }

    #[test]
    fn work_that_does_not_come_back_is_replaced() {
        let mut uses = KeyUses::default();
        assert!(uses.note(1, ONE, START));
        assert!(!uses.note(1, ONE, START + ms(29_999)));
        assert!(uses.note(1, ONE, START + ms(30_000)));
        assert!(!uses.note(1, ONE, START + ms(30_001)));
    }

    /// An isolate that has to wait for this long, a moment ago.
    fn waiting(next_ms: Millis) -> KeyUses {
        let mut uses = KeyUses::default();
        assert!(uses.note(1, ONE, START - REPORT_AFTER_MS));
        assert_eq!(uses.next_step(START - REPORT_AFTER_MS, START), ReportStep::Send);
        let message = uses.take(7, START).unwrap();
        uses.on_counted(&message, next_ms, START);
        assert_eq!(uses.next_step(START - REPORT_AFTER_MS, START), ReportStep::End);
        uses
    }

    #[test]
    fn while_keys_are_used_one_message_goes_when_the_registry_expects_it() {
        let (mut uses, mut works, mut sent) = (waiting(ms(60_000)), Vec::new(), Vec::new());
        for second in 0..200 {
            let now = START + ms(1_000) * second;
            if uses.note(1, ONE, now) {
                works.push(now);
            }
            assert!(works.len() <= 3, "few at once");
            works.retain(|began_at| match uses.next_step(*began_at, now) {
                ReportStep::Wait(_) => true,
                ReportStep::Send => {
                    let message = uses.take(7, now).unwrap();
                    uses.on_counted(&message, ms(60_000), now);
                    sent.push((second, requests(&message)));
                    true
                }
                ReportStep::End => false,
            });
        }
        assert_eq!(sent, [(60, vec![(1, 61)]), (120, vec![(1, 60)]), (180, vec![(1, 60)])]);
    }

    #[test]
    fn an_isolate_that_falls_idle_tells_the_rest_at_once_but_not_each_time() {
        let mut uses = waiting(ms(60_000));
        let [first, second] = [START + ms(5_000), START + ms(30_000)];
        assert!(uses.note(1, ONE, first));
        assert_eq!(uses.next_step(first, first), ReportStep::Wait(first + WORK_MS));
        assert_eq!(uses.next_step(first, first + WORK_MS), ReportStep::Send);
        let message = uses.take(7, first + WORK_MS).unwrap();
        uses.on_counted(&message, ms(60_000), first + WORK_MS);
        assert_eq!(uses.next_step(first, first + WORK_MS), ReportStep::End);
        // A request each half minute is no reason for a message each half minute.
        assert!(uses.note(1, ONE, second));
        assert_eq!(uses.next_step(second, second + WORK_MS), ReportStep::End);
        let third = first + WORK_MS + ms(60_000);
        assert!(uses.note(1, ONE, third));
        assert_eq!(uses.next_step(third, third), ReportStep::Send, "it is expected");
        assert_eq!(requests(&uses.take(7, third).unwrap()), [(1, 2)]);
    }

    #[test]
    fn a_message_is_repeated_as_it_was_until_it_is_counted() {
        let mut uses = KeyUses::default();
        uses.note(1, ONE, START);
        let first = uses.take(u64::MAX, START).unwrap();
        uses.note(2, ONE, START);
        assert_eq!(uses.take(5, START + ms(60_000)).as_ref(), Some(&first));
        uses.on_counted(&first, Millis::ZERO, START);
        let second = uses.take(5, START + ms(60_000)).unwrap();
        assert_eq!((second.reporter, second.number, requests(&second)), (first.reporter, 2, vec![(2, 1)]));
        uses.on_counted(&first, Millis::ZERO, START);
        let again = uses.take(5, START + ms(60_000));
        assert_eq!(again.as_ref(), Some(&second), "that answer came twice");
        uses.on_counted(&second, Millis::ZERO, START);
        assert_eq!(uses.take(5, START + ms(60_000)), None);
    }

    #[test]
    fn each_hour_has_another_name_and_what_is_two_hours_old_is_given_up() {
        let mut uses = KeyUses::default();
        uses.note(1, ONE, START);
        let first = uses.take(1 << 40, START).unwrap();
        assert_eq!(hour_of(first.reporter), START.period(HOUR_MS));
        assert!(first.reporter < 1 << 53, "exact in JSON and in the storage");
        assert_eq!(uses.take(1 << 41, START + HOUR_MS).as_ref(), Some(&first));
        uses.note(2, ONE, START);
        let later = uses.take(1 << 41, START + HOUR_MS * 2).unwrap();
        assert_eq!((later.number, requests(&later)), (1, vec![(2, 1)]));
        assert_ne!(later.reporter, first.reporter);
    }
}

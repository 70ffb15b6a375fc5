//! What issued keys used, until the registry has counted it.
//!
//! A message has a number, and is repeated with this number until the registry has answered. So
//! what is in it counts once, whatever becomes of messages and answers.

use crate::vocabulary::time::{Instant, Millis};

/// The most keys of one message. It is as many as an isolate knows. Further ones are not counted.
const MOST_USES: usize = 4_096;
/// A reporter has a new name each hour, so that the registry need not remember names for ever.
pub const HOUR_MS: Millis = Millis::new(3_600_000);
/// The part of a name that is random, in bits. The hour is before it.
const RANDOM_BITS: u32 = 32;
/// The task of a request that sends may end with the request. Then another one sends.
const DEAD_AFTER_MS: Millis = Millis::new(30_000);

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
    /// When the latest sending began that has not come to its message.
    sending_since: Option<Instant>,
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
    /// The key of this number used something. Returns whether the caller has to send a message
    /// soon: nobody else does.
    pub fn note(&mut self, key: u64, used: KeyUse, now: Instant) -> bool {
        match self.uses.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(place) => {
                if let Some((_, sum)) = self.uses.get_mut(place) {
                    sum.add(used);
                }
            }
            Err(_) if self.uses.len() >= MOST_USES => return false,
            Err(place) => self.uses.insert(place, (key, used)),
        }
        let is_sending = self.sending_since.is_some_and(|since| now - since < DEAD_AFTER_MS);
        if !is_sending {
            self.sending_since = Some(now);
        }
        !is_sending
    }

    /// The next message. The next use after it has another one sent. `random`: for the name of the
    /// reporter.
    pub fn take(&mut self, random: u64, now: Instant) -> Option<UsesMessage> {
        self.sending_since = None;
        let hour = now.period(HOUR_MS);
        // The registry does not know the number of an older one, and would not count it.
        self.sent = self.sent.take().filter(|sent| hour_of(sent.reporter) + 1 >= hour);
        if self.sent.is_none() && !self.uses.is_empty() {
            if hour_of(self.reporter) != hour {
                (self.reporter, self.number) = (first_of(hour) | random >> (u64::BITS - RANDOM_BITS), 0);
            }
            self.number += 1;
            let uses = std::mem::take(&mut self.uses);
            self.sent = Some(UsesMessage { reporter: self.reporter, number: self.number, uses });
        }
        self.sent.clone()
    }

    /// The registry has answered to this message. Returns whether there is something for another
    /// one.
    pub fn on_counted(&mut self, message: &UsesMessage) -> bool {
        if self.sent.as_ref() == Some(message) {
            self.sent = None;
        }
        !self.uses.is_empty()
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
    fn one_message_at_a_time_tells_of_a_bounded_number_of_keys() {
        let mut uses = KeyUses::default();
        assert!(uses.note(0, ONE, START));
        for key in 0..5_000 {
            assert!(!uses.note(key, ONE, START), "somebody sends it already");
        }
        let message = uses.take(7, START).unwrap();
        assert_eq!((message.number, message.uses.len(), requests(&message)[0]), (1, MOST_USES, (0, 2)));
        assert!(uses.note(0, ONE, START), "the next one");
    }

    #[test]
    fn a_sender_that_does_not_come_back_is_replaced() {
        let mut uses = KeyUses::default();
        assert!(uses.note(1, ONE, START));
        assert!(!uses.note(1, ONE, START + ms(29_999)));
        assert!(uses.note(1, ONE, START + ms(30_000)));
        assert!(!uses.note(1, ONE, START + ms(30_001)));
    }

    #[test]
    fn a_message_is_repeated_as_it_was_until_it_is_counted() {
        let mut uses = KeyUses::default();
        uses.note(1, ONE, START);
        let first = uses.take(u64::MAX, START).unwrap();
        uses.note(2, ONE, START);
        assert_eq!(uses.take(5, START + ms(60_000)).as_ref(), Some(&first));
        assert!(uses.on_counted(&first), "there is more");
        let second = uses.take(5, START + ms(60_000)).unwrap();
        assert_eq!((second.reporter, second.number, requests(&second)), (first.reporter, 2, vec![(2, 1)]));
        assert!(!uses.on_counted(&first), "an answer that comes twice");
        assert_eq!(uses.take(5, START + ms(60_000)).as_ref(), Some(&second));
        assert!(!uses.on_counted(&second));
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

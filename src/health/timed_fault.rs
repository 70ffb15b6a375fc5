//! Faults that an administrator sets for a time. A fault belongs to the name of a deployment, as a
//! drain does, and a shard stores it under the same key ([`name_key`](super::drains::name_key)).
//!
//! Every isolate and every object knows when a fault ends, so nothing has to be sent.

use serde_json::{Value, json};

use crate::vocabulary::fault::Fault;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// The fault of a deployment, for some of its attempts, until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedFault {
    /// The fault.
    pub fault: Fault,
    /// The part of the attempts that it answers, in percent.
    pub share: u8,
    /// When it ends.
    pub until: Instant,
    /// The reason that the administrator gave, in one line; may be empty.
    pub why: String,
}

impl TimedFault {
    /// The fault as a text, for messages and for the storage: `500 20 60000 game day`. The third
    /// part is the time from `since` to its end in milliseconds. A message has it from its writing,
    /// because clocks differ.
    #[inline(never)]
    pub fn text(&self, since: Instant) -> String {
        let Self { fault, share, until, why } = self;
        format!("{} {share} {} {why}", fault.name(), *until - since)
    }

    /// Reads [`Self::text`]. `None`: there is no fault, or it is over.
    #[inline(never)]
    pub fn parse(text: &str, since: Instant, now: Instant) -> Option<Self> {
        let mut parts = text.splitn(4, ' ');
        let mut part = || parts.next();
        let (fault, share, ms) = (Fault::parse(part()?)?, part()?.parse().ok()?, part()?.parse().ok()?);
        let until = since + Millis::new(ms);
        let why = part().unwrap_or_default().to_owned();
        (until > now).then_some(Self { fault, share, until, why })
    }

    /// Whether it answers an attempt that begins now.
    pub fn strikes(&self, now: Instant, rng: &mut dyn Rng) -> bool {
        now < self.until && (self.share >= 100 || rng.unit() * 100.0 < f64::from(self.share))
    }

    /// The fault as shown to people: how it is called, its share in percent, how long it lasts, and
    /// why.
    #[inline(never)]
    pub fn view(&self, now: Instant) -> Value {
        let Self { fault, share, until, why } = self;
        let why = Some(why.as_str()).filter(|why| !why.is_empty());
        json!({
            "fault": fault.name(),
            "share": share,
            "remaining_ms": (*until - now).get(),
            "why": why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::rng::SplitMix64;
    use crate::vocabulary::time::short::at;

    fn fault(share: u8, why: &str) -> TimedFault {
        TimedFault { fault: Fault::ServerError, share, until: at(61_000), why: why.to_owned() }
    }

    #[test]
    fn a_text_has_the_time_that_is_left() {
        for (fault, since, text) in [
            (fault(20, "game day"), at(1_000), "500 20 60000 game day"),
            (fault(100, ""), at(60_999), "500 100 1 "),
            (fault(1, "a  b 3"), Instant::EPOCH, "500 1 61000 a  b 3"),
        ] {
            assert_eq!(fault.text(since), text);
            assert_eq!(TimedFault::parse(text, since, since), Some(fault));
        }
    }

    #[test]
    fn a_text_that_is_over_or_is_none_is_no_fault() {
        for (text, now) in [
            ("500 20 60000 ", at(61_000)),
            ("500 20 0 ", at(1_000)),
            ("", at(0)),
            ("500", at(0)),
            ("503 20 60000 ", at(0)),
            ("500 256 60000 ", at(0)),
            ("500 20 -1 ", at(0)),
        ] {
            assert_eq!(TimedFault::parse(text, at(1_000), now), None, "{text:?}");
        }
    }

    #[test]
    fn a_share_of_the_attempts_is_struck_until_the_end() {
        let mut rng = SplitMix64::new(7);
        for (share, least, most) in [(100, 10_000, 10_000), (20, 1_900, 2_100), (1, 60, 140)] {
            let count = (0..10_000).filter(|_| fault(share, "").strikes(at(60_999), &mut rng)).count();
            assert!((least..=most).contains(&count), "{share} %: {count} of 10000");
            assert!(!fault(share, "").strikes(at(61_000), &mut rng), "it has ended");
        }
    }
}

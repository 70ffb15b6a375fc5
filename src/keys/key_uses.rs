//! Which keys were used, until the registry knows it.

use std::collections::BTreeSet;

/// The most keys that one message tells of. Further ones wait for the next.
const MOST_USES: usize = 500;

/// The keys whose use the registry does not know yet.
#[derive(Debug, Default)]
pub struct KeyUses {
    ids: BTreeSet<String>,
    is_sending: bool,
}

/// What becomes of a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseNoted {
    /// It goes with the message that is prepared.
    Noted,
    /// The same; nobody prepares a message yet, so the caller does.
    First,
    /// There is no room.
    Full,
}

impl KeyUses {
    /// A key was used.
    pub fn note(&mut self, id: &str) -> UseNoted {
        if self.ids.len() >= MOST_USES {
            return UseNoted::Full;
        }
        self.ids.insert(id.to_owned());
        if std::mem::replace(&mut self.is_sending, true) { UseNoted::Noted } else { UseNoted::First }
    }

    /// The keys of the message. The next use prepares another one.
    pub fn take(&mut self) -> Vec<String> {
        self.is_sending = false;
        std::mem::take(&mut self.ids).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_at_a_time_tells_of_a_bounded_number_of_keys() {
        let mut uses = KeyUses::default();
        assert_eq!(uses.note("key_0"), UseNoted::First);
        for number in 1..MOST_USES {
            assert_eq!(uses.note(&format!("key_{number}")), UseNoted::Noted);
        }
        assert_eq!(uses.note("key_0"), UseNoted::Full);
        assert_eq!(uses.take().len(), MOST_USES);
        assert_eq!(uses.note("key_0"), UseNoted::First, "the next one");
        assert_eq!(uses.take(), ["key_0"]);
    }
}

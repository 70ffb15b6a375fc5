//! Which key of a deployment is used, if the document lists several.
//!
//! The first key is used that is not known as refused. A refused key is tried again after a while,
//! by one request: a new key may become valid later than the document that names it. Nothing of
//! this leaves the isolate.

use std::rc::Rc;

use crate::routes::graph::Deployment;
use crate::vocabulary::time::{Instant, Millis};

/// How long a refused key is not tried while another one is accepted.
const REFUSED_MS: Millis = Millis::new(600_000);

/// What is known of the keys of all deployments. Those with one key have an empty list.
#[derive(Debug, Clone, Default)]
pub struct KeyChoices(Vec<Vec<KeyChoiceState>>);

/// What is known of a key.
#[derive(Debug, Clone, Copy, Default)]
struct KeyChoiceState {
    /// When it was refused, if it is not known to be valid since.
    refused_at: Option<Instant>,
    /// When it was tried again.
    tried_at: Instant,
}

impl KeyChoices {
    /// The choices for these deployments. What is known of a deployment with the same keys is taken
    /// over from `before`.
    pub fn of(deployments: &[Rc<Deployment>], before: Option<(&Self, &[Rc<Deployment>])>) -> Self {
        let has_one = |deployment: &Rc<Deployment>| deployment.other_keys.is_empty();
        if deployments.iter().all(has_one) {
            return Self::default();
        }
        let known = |deployment: &Rc<Deployment>| {
            let (choices, deployments) = before?;
            let is_same = |other: &&Rc<Deployment>| {
                other.identity == deployment.identity && other.keys().eq(deployment.keys())
            };
            choices.0.get(deployments.iter().find(is_same)?.id).cloned()
        };
        let states = |deployment: &Rc<Deployment>| {
            let keys = if has_one(deployment) { 0 } else { deployment.keys().count() };
            known(deployment).unwrap_or_else(|| vec![KeyChoiceState::default(); keys])
        };
        Self(deployments.iter().map(states).collect())
    }

    /// The key to use now. `may_repeat`: the request can be sent again with another one.
    pub fn choose(&mut self, deployment: usize, now: Instant, may_repeat: bool) -> usize {
        let Some(keys) = self.0.get_mut(deployment) else { return 0 };
        let accepted = keys.iter().position(|key| key.refused_at.is_none());
        let is_due = |key: &KeyChoiceState| {
            key.refused_at.is_some_and(|at| now - at >= REFUSED_MS) && now - key.tried_at >= REFUSED_MS
        };
        let due = keys.iter().take(accepted.unwrap_or(0)).position(is_due).filter(|_| may_repeat);
        if let Some(key) = due.and_then(|due| keys.get_mut(due)) {
            // Only this request tries it.
            key.tried_at = now;
        }
        // If all are refused, the one whose refusal is the oldest.
        let oldest = || keys.iter().enumerate().min_by_key(|(_, key)| key.refused_at).map(|(index, _)| index);
        due.or(accepted).or_else(oldest).unwrap_or(0)
    }

    /// The upstream has accepted this key.
    pub fn on_accepted(&mut self, deployment: usize, key: usize) {
        if let Some(key) = self.0.get_mut(deployment).and_then(|keys| keys.get_mut(key)) {
            key.refused_at = None;
        }
    }

    /// The upstream has refused this key. Returns the key to try next, if there is one that was not
    /// refused since the attempt began.
    pub fn on_refused(
        &mut self,
        deployment: usize,
        key: usize,
        since: Instant,
        now: Instant,
    ) -> Option<usize> {
        let keys = self.0.get_mut(deployment)?;
        keys.get_mut(key)?.refused_at = Some(now);
        let is_left = |other: &(usize, &KeyChoiceState)| {
            other.0 != key && other.1.refused_at.is_none_or(|refused_at| refused_at < since)
        };
        // First a key that is not known as refused.
        let next = keys.iter().enumerate().filter(is_left).min_by_key(|(_, key)| key.refused_at);
        next.map(|(index, _)| index)
    }

    /// Whether a key is not known as refused.
    pub fn has_accepted(&self, deployment: usize) -> bool {
        self.0.get(deployment).is_some_and(|keys| keys.iter().any(|key| key.refused_at.is_none()))
    }

    /// The places of the refused keys.
    pub fn refused(&self, deployment: usize) -> impl Iterator<Item = usize> {
        let keys = self.0.get(deployment).into_iter().flatten().enumerate();
        keys.filter(|(_, key)| key.refused_at.is_some()).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyChoiceState, KeyChoices, REFUSED_MS};
    use crate::vocabulary::time::{Instant, Millis};

    fn choices(keys: usize) -> KeyChoices {
        KeyChoices(vec![Vec::new(), vec![KeyChoiceState::default(); keys]])
    }

    fn at(ms: u64) -> Instant {
        Instant::from_epoch_ms(10_000_000 + ms)
    }

    #[test]
    fn a_refused_key_is_left_for_the_next_one_until_it_is_tried_again_by_one_request() {
        let mut choices = choices(2);
        assert_eq!(choices.choose(1, at(0), true), 0);
        assert_eq!(choices.on_refused(1, 0, at(0), at(10)), Some(1));
        choices.on_accepted(1, 1);
        assert_eq!(choices.refused(1).collect::<Vec<_>>(), [0]);
        let due = at(10) + REFUSED_MS;
        assert_eq!(choices.choose(1, due - Millis::new(1), true), 1);
        assert_eq!(choices.choose(1, due, false), 1, "a body that is sent once risks nothing");
        assert_eq!(choices.choose(1, due, true), 0);
        assert_eq!(choices.choose(1, due, true), 1, "one request tries it");
        // While it is tried, the other one is refused: the first is still a chance.
        assert_eq!(choices.on_refused(1, 1, due - Millis::new(5), due + Millis::new(1)), Some(0));
        choices.on_accepted(1, 0);
        assert_eq!(choices.choose(1, due + Millis::new(2), true), 0);
    }

    #[test]
    fn an_attempt_tries_each_key_once() {
        let mut choices = choices(3);
        assert_eq!(choices.on_refused(1, 0, at(0), at(1)), Some(1));
        assert_eq!(choices.on_refused(1, 1, at(0), at(2)), Some(2));
        assert_eq!(choices.on_refused(1, 2, at(0), at(3)), None);
        assert!(!choices.has_accepted(1));
        // Another attempt may find that the refusal has ended, with the oldest one first.
        assert_eq!(choices.choose(1, at(50), true), 0);
        assert_eq!(choices.on_refused(1, 0, at(50), at(51)), Some(1));
    }

    #[test]
    fn a_deployment_with_one_key_has_no_choice() {
        let mut choices = choices(2);
        for deployment in [0, 7] {
            assert_eq!(choices.choose(deployment, at(0), true), 0);
            assert_eq!(choices.on_refused(deployment, 0, at(0), at(1)), None);
            assert_eq!(choices.choose(deployment, at(2), true), 0);
        }
    }
}

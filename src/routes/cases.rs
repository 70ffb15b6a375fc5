//! Conditions of which the first that holds decides: the rules of a document, and the cases of a `match` node.
//!
//! A document may have hundreds of them, and a request has to do with few. So each is filed under something that is so wherever it
//! holds: that a fact of the request begins with a certain text. A look at the facts finds those that may hold, and
//! [`Condition::holds`] alone decides on them; to file one under too little costs time and nothing else.

use std::ops::Deref;

use super::prefix_map::PrefixMap;
use super::when::{Condition, Fact, FactValue, ValueTest};
use crate::vocabulary::facts::Facts;

/// Things that apply where their condition holds, the first of them that does.
#[derive(Debug)]
pub struct Cases<T> {
    list: Vec<T>,
    index: Index,
}

impl<T> Default for Cases<T> {
    fn default() -> Self {
        Self { list: Vec::new(), index: Index::default() }
    }
}

impl<T: AsRef<Condition>> From<Vec<T>> for Cases<T> {
    fn from(list: Vec<T>) -> Self {
        let index = Index::of(&list.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        Self { list, index }
    }
}

impl<T> Deref for Cases<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.list
    }
}

impl<T: AsRef<Condition>> Cases<T> {
    /// The place of the first one that holds for a request.
    pub fn first(&self, facts: &Facts) -> Option<usize> {
        self.first_of(facts, &|_| true)
    }

    /// The place of the first one that holds for a request, of those that `counts` lets count.
    pub fn first_of(&self, facts: &Facts, counts: &dyn Fn(&Condition) -> bool) -> Option<usize> {
        self.index.first(facts, &|place| {
            let condition = self.list.get(place).map(AsRef::as_ref);
            condition.is_some_and(|condition| counts(condition) && condition.holds(facts))
        })
    }
}

/// Where each condition is filed, by its place. Places are in ascending order.
#[derive(Debug, Default)]
struct Index {
    /// Under the beginning of a fact. What is filed under an empty one asks that the fact is there.
    keys: Vec<(Fact, PrefixMap)>,
    /// Those that may hold whatever the facts are.
    others: Vec<usize>,
}

/// What is so where a condition holds: the fact begins with this text.
type IndexKey<'a> = (&'a Fact, &'a str);

/// A way to file a condition: under signs of which one is there wherever it holds.
type KeySet<'a> = Vec<IndexKey<'a>>;

impl Index {
    fn of(conditions: &[&Condition]) -> Self {
        let mut key_sets: Vec<Vec<KeySet<'_>>> = Vec::with_capacity(conditions.len());
        let mut all = Self::default();
        for (place, condition) in conditions.iter().enumerate() {
            let mut found = Vec::new();
            add_key_sets(condition, &mut found);
            for key_set in &found {
                all.file(key_set, place);
            }
            key_sets.push(found);
        }
        let mut index = Self::default();
        for (place, key_sets) in key_sets.iter().enumerate() {
            // The way that says most: under the signs that the fewest conditions share.
            match key_sets.iter().min_by_key(|key_set| all.sharing(key_set)) {
                Some(key_set) => index.file(key_set, place),
                None => index.others.push(place),
            }
        }
        index
    }

    fn file(&mut self, key_set: &[IndexKey<'_>], place: usize) {
        for (fact, beginning) in key_set {
            let known = self.keys.iter().position(|(known, _)| known == *fact);
            let known = known.unwrap_or_else(|| {
                self.keys.push(((*fact).clone(), PrefixMap::default()));
                self.keys.len() - 1
            });
            let places = self.keys.get_mut(known).map(|(_, filed)| filed.at((*beginning).to_owned()));
            if let Some(places) = places.filter(|places| places.last() != Some(&place)) {
                places.push(place);
            }
        }
    }

    /// How many are filed under these signs.
    fn sharing(&self, key_set: &[IndexKey<'_>]) -> usize {
        let mut sharing = 0_usize;
        for (fact, beginning) in key_set {
            let filed = self.keys.iter().find(|(known, _)| known == *fact);
            // That a fact is there says little, however few ask for no more than that.
            let least = if beginning.is_empty() { usize::MAX / 2 } else { 0 };
            sharing =
                sharing.saturating_add(least + filed.map_or(0, |(_, filed)| filed.get(beginning).len()));
        }
        sharing
    }

    /// The first place of which `holds` is true, of those whose signs a request has.
    fn first(&self, facts: &Facts, holds: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut first = None;
        let mut look = |places: &[usize]| {
            let mut ahead = places.iter().take_while(|place| first.is_none_or(|first| **place < first));
            first = ahead.find(|place| holds(**place)).copied().or(first);
        };
        for (fact, filed) in &self.keys {
            match fact.of(facts) {
                None => {}
                Some(FactValue::Text(text)) => filed.of(text).for_each(|(_, places)| look(places)),
                // A number has many forms, and a list many elements.
                Some(FactValue::Number(_) | FactValue::Json(_)) => {
                    filed.iter().for_each(|(_, places)| look(places));
                }
            }
        }
        look(&self.others);
        first
    }
}

/// Adds the ways to file a condition; none where it may hold without any sign.
fn add_key_sets<'a>(condition: &'a Condition, key_sets: &mut Vec<KeySet<'a>>) {
    match condition {
        Condition::Fact(fact, test) => add_key_sets_of(fact, test, key_sets),
        Condition::All(conditions) => {
            for condition in conditions {
                add_key_sets(condition, key_sets);
            }
        }
        Condition::Any(conditions) => {
            let mut all = Some(KeySet::new());
            for condition in conditions {
                let mut found = Vec::new();
                add_key_sets(condition, &mut found);
                join(&mut all, found);
            }
            key_sets.extend(all);
        }
        Condition::Always | Condition::Share { .. } | Condition::Not(_) => {}
    }
}

fn add_key_sets_of<'a>(fact: &'a Fact, test: &'a ValueTest, key_sets: &mut Vec<KeySet<'a>>) {
    match test {
        ValueTest::Text(glob) => key_sets.push(vec![(fact, glob.head())]),
        ValueTest::Prefix(prefix) => key_sets.push(vec![(fact, prefix)]),
        ValueTest::Number(_) | ValueTest::Bool(_) | ValueTest::Within(..) | ValueTest::Exists(true) => {
            key_sets.push(vec![(fact, "")]);
        }
        ValueTest::Exists(false) | ValueTest::Not(_) => {}
        ValueTest::All(tests) => tests.iter().for_each(|test| add_key_sets_of(fact, test, key_sets)),
        ValueTest::Any(tests) => {
            let mut all = Some(KeySet::new());
            for test in tests {
                let mut found = Vec::new();
                add_key_sets_of(fact, test, &mut found);
                join(&mut all, found);
            }
            key_sets.extend(all);
        }
    }
}

/// Adds to the one way of what holds where one of several does: that of this one whose signs are the longest. It has none if this has
/// none.
fn join<'a>(all: &mut Option<KeySet<'a>>, key_sets: Vec<KeySet<'a>>) {
    let shortest = |key_set: &KeySet<'_>| key_set.iter().map(|(_, beginning)| beginning.len()).min();
    match (all.as_mut(), key_sets.into_iter().max_by_key(shortest)) {
        (Some(all), Some(key_set)) => all.extend(key_set),
        _ => *all = None,
    }
}

#[cfg(test)]
mod tests;

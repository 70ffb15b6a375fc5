//! An ordered list of conditions; the first one that holds decides. The rules of a document and the
//! cases of a `match` node use it.
//!
//! A document may have hundreds of conditions, but only a few concern one request. Therefore each
//! condition is indexed by a necessary property: a fact of the request begins with a certain text.
//! The index finds the conditions that may hold. [`Condition::holds`] alone makes the decision, so
//! an index key that is too short costs time but never correctness.

use std::ops::Deref;

use super::prefix_map::PrefixMap;
use super::when::{Condition, Fact, FactValue, ValueTest};
use crate::vocabulary::facts::Facts;

/// A list of items with conditions. The first item whose condition holds applies.
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
    /// The position of the first item whose condition holds for a request.
    pub fn first(&self, facts: &Facts) -> Option<usize> {
        self.first_of(facts, &|_| true)
    }

    /// Like [`Self::first`], but only with the conditions for which `counts` is true.
    pub fn first_of(&self, facts: &Facts, counts: &dyn Fn(&Condition) -> bool) -> Option<usize> {
        self.index.first(facts, &|place| {
            let condition = self.list.get(place).map(AsRef::as_ref);
            condition.is_some_and(|condition| counts(condition) && condition.holds(facts))
        })
    }
}

/// The positions of the conditions, by index key. Positions are in ascending order.
#[derive(Debug, Default)]
struct Index {
    /// Positions by the prefix of a fact. An empty prefix requires only that the fact is present.
    keys: Vec<(Fact, PrefixMap)>,
    /// Positions of the conditions that have no index key. They are tested for every request.
    others: Vec<usize>,
}

/// A necessary property of a condition: the fact begins with this text.
type IndexKey<'a> = (&'a Fact, &'a str);

/// One way to index a condition: whenever the condition holds, at least one of these keys matches.
type KeySet<'a> = Vec<IndexKey<'a>>;

impl Index {
    fn of(conditions: &[&Condition]) -> Self {
        let mut key_sets: Vec<Vec<KeySet<'_>>> = Vec::with_capacity(conditions.len());
        let mut all = Self::default();
        for (place, condition) in conditions.iter().enumerate() {
            let mut found = Vec::new();
            add_key_sets(condition, &mut found);
            for key_set in &found {
                all.insert(key_set, place);
            }
            key_sets.push(found);
        }
        let mut index = Self::default();
        for (place, key_sets) in key_sets.iter().enumerate() {
            // Takes the most selective key set: the one that the fewest conditions share.
            match key_sets.iter().min_by_key(|key_set| all.sharing(key_set)) {
                Some(key_set) => index.insert(key_set, place),
                None => index.others.push(place),
            }
        }
        index
    }

    fn insert(&mut self, key_set: &[IndexKey<'_>], place: usize) {
        for (fact, prefix) in key_set {
            let known = self.keys.iter().position(|(known, _)| known == *fact);
            let known = known.unwrap_or_else(|| {
                self.keys.push(((*fact).clone(), PrefixMap::default()));
                self.keys.len() - 1
            });
            let places = self.keys.get_mut(known).map(|(_, prefixes)| prefixes.at((*prefix).to_owned()));
            if let Some(places) = places.filter(|places| places.last() != Some(&place)) {
                places.push(place);
            }
        }
    }

    /// How many conditions are indexed under these keys.
    fn sharing(&self, key_set: &[IndexKey<'_>]) -> usize {
        let mut sharing = 0_usize;
        for (fact, prefix) in key_set {
            let prefixes = self.keys.iter().find(|(known, _)| known == *fact);
            // The presence of a fact is a weak key, even if few conditions use it.
            let least = if prefix.is_empty() { usize::MAX / 2 } else { 0 };
            sharing = sharing
                .saturating_add(least + prefixes.map_or(0, |(_, prefixes)| prefixes.get(prefix).len()));
        }
        sharing
    }

    /// The first position for which `holds` is true, among the conditions whose keys match the
    /// request.
    fn first(&self, facts: &Facts, holds: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut first = None;
        let mut look = |places: &[usize]| {
            let mut ahead = places.iter().take_while(|place| first.is_none_or(|first| **place < first));
            first = ahead.find(|place| holds(**place)).copied().or(first);
        };
        for (fact, prefixes) in &self.keys {
            match fact.of(facts) {
                None => {}
                Some(FactValue::Text(text)) => prefixes.of(text).for_each(|(_, places)| look(places)),
                // A number has several text forms, and a list has several elements: no prefix
                // search.
                Some(FactValue::Number(_) | FactValue::Json(_)) => {
                    prefixes.iter().for_each(|(_, places)| look(places));
                }
            }
        }
        look(&self.others);
        first
    }
}

/// Adds the possible key sets of a condition. Adds none if the condition can hold without any key.
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
        // The texts of a field are apart from its value.
        ValueTest::Pattern(_) | ValueTest::Exists(false) | ValueTest::Not(_) => {}
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

/// Extends `all`, the key set of an `any`, by the best key set of one alternative: the one whose
/// shortest prefix is the longest. If the alternative has no key set, the `any` has none either.
fn join<'a>(all: &mut Option<KeySet<'a>>, key_sets: Vec<KeySet<'a>>) {
    let shortest = |key_set: &KeySet<'_>| key_set.iter().map(|(_, prefix)| prefix.len()).min();
    match (all.as_mut(), key_sets.into_iter().max_by_key(shortest)) {
        (Some(all), Some(key_set)) => all.extend(key_set),
        _ => *all = None,
    }
}

#[cfg(test)]
mod tests;

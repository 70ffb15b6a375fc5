//! Conditions of which the first that holds decides: the rules of a document, and the cases of a `match` node.
//!
//! A document may have hundreds of them, and a request has to do with few. So each is filed under something that is so wherever it
//! holds: that a fact of the request begins with a certain text. A look at the facts finds those that may hold, and
//! [`Condition::holds`] alone decides on them; to file one under too little costs time and nothing else.

use std::ops::Deref;

use super::beginnings::Beginnings;
use super::when::{Condition, Fact, Found, Test};
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
    signs: Vec<(Fact, Beginnings)>,
    /// Those that may hold whatever the facts are.
    others: Vec<usize>,
}

/// What is so where a condition holds: the fact begins with this text.
type Sign<'a> = (&'a Fact, &'a str);

/// A way to file a condition: under signs of which one is there wherever it holds.
type Way<'a> = Vec<Sign<'a>>;

impl Index {
    fn of(conditions: &[&Condition]) -> Self {
        let mut ways: Vec<Vec<Way<'_>>> = Vec::with_capacity(conditions.len());
        let mut all = Self::default();
        for (place, condition) in conditions.iter().enumerate() {
            let mut found = Vec::new();
            add_ways(condition, &mut found);
            for way in &found {
                all.file(way, place);
            }
            ways.push(found);
        }
        let mut index = Self::default();
        for (place, ways) in ways.iter().enumerate() {
            // The way that says most: under the signs that the fewest conditions share.
            match ways.iter().min_by_key(|way| all.sharing(way)) {
                Some(way) => index.file(way, place),
                None => index.others.push(place),
            }
        }
        index
    }

    fn file(&mut self, way: &[Sign<'_>], place: usize) {
        for (fact, beginning) in way {
            let known = self.signs.iter().position(|(known, _)| known == *fact);
            let known = known.unwrap_or_else(|| {
                self.signs.push(((*fact).clone(), Beginnings::default()));
                self.signs.len() - 1
            });
            let places = self.signs.get_mut(known).map(|(_, filed)| filed.at((*beginning).to_owned()));
            if let Some(places) = places.filter(|places| places.last() != Some(&place)) {
                places.push(place);
            }
        }
    }

    /// How many are filed under these signs.
    fn sharing(&self, way: &[Sign<'_>]) -> usize {
        let mut sharing = 0_usize;
        for (fact, beginning) in way {
            let filed = self.signs.iter().find(|(known, _)| known == *fact);
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
        for (fact, filed) in &self.signs {
            match fact.of(facts) {
                None => {}
                Some(Found::Text(text)) => filed.of(text).for_each(|(_, places)| look(places)),
                // A number has many forms, and a list many elements.
                Some(Found::Number(_) | Found::Json(_)) => filed.iter().for_each(|(_, places)| look(places)),
            }
        }
        look(&self.others);
        first
    }
}

/// Adds the ways to file a condition; none where it may hold without any sign.
fn add_ways<'a>(condition: &'a Condition, ways: &mut Vec<Way<'a>>) {
    match condition {
        Condition::Fact(fact, test) => add_ways_of(fact, test, ways),
        Condition::All(conditions) => conditions.iter().for_each(|condition| add_ways(condition, ways)),
        Condition::Any(conditions) => {
            let mut all = Some(Way::new());
            for condition in conditions {
                let mut found = Vec::new();
                add_ways(condition, &mut found);
                join(&mut all, found);
            }
            ways.extend(all);
        }
        Condition::Always | Condition::Share { .. } | Condition::Not(_) => {}
    }
}

fn add_ways_of<'a>(fact: &'a Fact, test: &'a Test, ways: &mut Vec<Way<'a>>) {
    match test {
        Test::Text(glob) => ways.push(vec![(fact, glob.head())]),
        Test::Prefix(prefix) => ways.push(vec![(fact, prefix)]),
        Test::Number(_) | Test::Bool(_) | Test::Within(..) | Test::Exists(true) => {
            ways.push(vec![(fact, "")]);
        }
        Test::Exists(false) | Test::Not(_) => {}
        Test::All(tests) => tests.iter().for_each(|test| add_ways_of(fact, test, ways)),
        Test::Any(tests) => {
            let mut all = Some(Way::new());
            for test in tests {
                let mut found = Vec::new();
                add_ways_of(fact, test, &mut found);
                join(&mut all, found);
            }
            ways.extend(all);
        }
    }
}

/// Adds to the one way of what holds where one of several does: that of this one whose signs are the longest. It has none if this has
/// none.
fn join<'a>(all: &mut Option<Way<'a>>, ways: Vec<Way<'a>>) {
    let shortest = |way: &Way<'_>| way.iter().map(|(_, beginning)| beginning.len()).min();
    match (all.as_mut(), ways.into_iter().max_by_key(shortest)) {
        (Some(all), Some(way)) => all.extend(way),
        _ => *all = None,
    }
}

#[cfg(test)]
mod tests;

//! Conditions of which the first that holds decides: the rules of a document, and the cases of a `match` node.
//!
//! A document may have hundreds of them, and a request has to do with few. So each is filed under something that is so wherever it
//! holds: that a fact of the request begins with a certain text. A look at the facts finds those that may hold, and
//! [`Condition::holds`] alone decides on them; to file one under too little costs time and nothing else.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::beginnings::Beginnings;
use super::when::{Condition, Fact, Found, Test};
use crate::request::facts::Facts;

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
        let mut first = None;
        self.index.visit(facts, &mut |places| {
            let ahead = places.iter().take_while(|place| first.is_none_or(|first| **place < first));
            let holds = |place: &&usize| {
                let condition = self.list.get(**place).map(AsRef::as_ref);
                condition.is_some_and(|condition| counts(condition) && condition.holds(facts))
            };
            first = ahead.into_iter().find(holds).copied().or(first);
        });
        first
    }
}

/// Places of conditions, in ascending order.
type Places = Vec<usize>;

/// Where each condition is filed.
#[derive(Debug, Default)]
struct Index {
    /// Under the beginning of a fact. What is filed under an empty one asks that the fact is there.
    signs: BTreeMap<Fact, Beginnings<Places>>,
    /// Those that may hold whatever the facts are.
    others: Places,
}

/// What is so where a condition holds: the fact begins with this text.
type Sign<'a> = (&'a Fact, &'a str);

impl Index {
    fn of(conditions: &[&Condition]) -> Self {
        let ways: Vec<_> = conditions.iter().map(|condition| ways(condition)).collect();
        // A condition is filed in the way that says most: under the signs that the fewest conditions share.
        let mut all = Self::default();
        for (place, ways) in ways.iter().enumerate() {
            ways.iter().flatten().for_each(|sign| all.file(*sign, place));
        }
        let mut index = Self::default();
        for (place, ways) in ways.iter().enumerate() {
            match ways.iter().min_by_key(|signs| all.sharing(signs)) {
                Some(signs) => signs.iter().for_each(|sign| index.file(*sign, place)),
                None => index.others.push(place),
            }
        }
        index
    }

    fn file(&mut self, (fact, beginning): Sign<'_>, place: usize) {
        if !self.signs.contains_key(fact) {
            self.signs.insert(fact.clone(), Beginnings::default());
        }
        if let Some(places) = self.signs.get_mut(fact).map(|filed| filed.at(beginning))
            && places.last() != Some(&place)
        {
            places.push(place);
        }
    }

    /// How many are filed under these signs.
    fn sharing(&self, signs: &[Sign<'_>]) -> usize {
        let of_one = |(fact, beginning): &Sign<'_>| {
            // That a fact is there says little, however few ask for no more than that.
            let least = if beginning.is_empty() { usize::MAX / 2 } else { 0 };
            least + self.signs.get(fact).and_then(|filed| filed.get(beginning)).map_or(0, Vec::len)
        };
        signs.iter().map(of_one).fold(0, usize::saturating_add)
    }

    /// Shows the places of all that may hold for a request, some of them more than once.
    fn visit(&self, facts: &Facts, look: &mut dyn FnMut(&[usize])) {
        for (fact, filed) in &self.signs {
            match fact.of(facts) {
                None => {}
                Some(Found::Text(text)) => filed.of(text).for_each(|(_, places)| look(places)),
                // A number has many forms, and a list many elements.
                Some(Found::Number(_) | Found::Json(_)) => filed.iter().for_each(|(_, places)| look(places)),
            }
        }
        look(&self.others);
    }
}

/// Ways to file a condition: each is signs of which one is there wherever it holds. None where it may hold without any.
fn ways(condition: &Condition) -> Vec<Vec<Sign<'_>>> {
    match condition {
        Condition::Fact(fact, test) => ways_of(fact, test),
        Condition::All(conditions) => conditions.iter().flat_map(ways).collect(),
        Condition::Any(conditions) => together(&mut conditions.iter().map(ways)),
        Condition::Always | Condition::Share { .. } | Condition::Not(_) => Vec::new(),
    }
}

fn ways_of<'a>(fact: &'a Fact, test: &'a Test) -> Vec<Vec<Sign<'a>>> {
    let begins_with = |text| vec![vec![(fact, text)]];
    match test {
        Test::Text(glob) => begins_with(glob.head()),
        Test::Prefix(prefix) => begins_with(prefix),
        Test::Number(_) | Test::Bool(_) | Test::Within(..) | Test::Exists(true) => begins_with(""),
        Test::Exists(false) | Test::Not(_) => Vec::new(),
        Test::Any(tests) => together(&mut tests.iter().map(|test| ways_of(fact, test))),
        Test::All(tests) => tests.iter().flat_map(|test| ways_of(fact, test)).collect(),
    }
}

/// The way to file what holds where one of several does: in one way of each of them.
fn together<'a>(parts: &mut dyn Iterator<Item = Vec<Vec<Sign<'a>>>>) -> Vec<Vec<Sign<'a>>> {
    let shortest = |signs: &Vec<Sign<'_>>| signs.iter().map(|(_, beginning)| beginning.len()).min();
    let mut signs = Vec::new();
    for ways in parts {
        match ways.into_iter().max_by_key(shortest) {
            Some(way) => signs.extend(way),
            None => return Vec::new(),
        }
    }
    vec![signs]
}

#[cfg(test)]
mod tests;

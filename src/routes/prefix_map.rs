//! What is filed under the beginnings of texts, found by a whole text: path prefixes, and the rules that may hold.
//!
//! A look-up costs a few steps down a tree, however much is filed.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Places in a list, by what a text may begin with.
#[derive(Debug, Clone, Default)]
pub struct PrefixMap(BTreeMap<String, Vec<usize>>);

/// PrefixMap that nothing is filed under.
impl<T: Into<String>> FromIterator<T> for PrefixMap {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut beginnings = Self::default();
        for text in texts {
            beginnings.at(text.into());
        }
        beginnings
    }
}

impl PrefixMap {
    /// What is filed under this beginning.
    pub fn get(&self, beginning: &str) -> &[usize] {
        self.0.get(beginning).map_or(&[], Vec::as_slice)
    }

    /// What is filed under this beginning, to be added to.
    pub fn at(&mut self, beginning: String) -> &mut Vec<usize> {
        self.0.entry(beginning).or_default()
    }

    /// Every beginning with what is filed under it, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0.iter().map(|(beginning, places)| (beginning.as_str(), places.as_slice()))
    }

    /// The beginnings of this text with what is filed under them, the longest first.
    ///
    /// The last key that is not after the text is the longest beginning, or shares with it as much as any key does: what lies between
    /// a beginning and the text begins so too. So the search goes on with that shared part, which is shorter each time.
    pub fn of<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a str, &'a [usize])> {
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            loop {
                let bound = rest?;
                let up_to = (Bound::Unbounded, Bound::Included(bound));
                let (key, places) = self.0.range::<str, _>(up_to).next_back()?;
                let shared = key.bytes().zip(bound.bytes()).take_while(|(one, other)| one == other).count();
                let is_beginning = shared == key.len();
                let left = if is_beginning { shared.checked_sub(1) } else { Some(shared) };
                rest = left.and_then(|left| bound.get(..bound.floor_char_boundary(left)));
                if is_beginning {
                    return Some((key.as_str(), places.as_slice()));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PrefixMap;

    fn filed(keys: &[&str]) -> PrefixMap {
        keys.iter().copied().collect()
    }

    #[test]
    fn the_longest_beginning_comes_first() {
        let beginnings = filed(&["", "/ai", "/ai/azure", "/ai/azure/eu", "/ai/b", "/é"]);
        for (text, expected) in [
            ("/ai/azure/v1", &["/ai/azure", "/ai", ""][..]),
            ("/ai/azure/eu", &["/ai/azure/eu", "/ai/azure", "/ai", ""]),
            ("/ai/c", &["/ai", ""]),
            ("/a", &[""]),
            ("", &[""]),
            ("/è", &[""]),
            ("/éa", &["/é", ""]),
        ] {
            assert_eq!(beginnings.of(text).map(|(key, _)| key).collect::<Vec<_>>(), expected, "{text}");
        }
        assert_eq!(filed(&[]).of("a").count(), 0);
    }

    proptest! {
        #[test]
        fn every_beginning_is_found(keys in proptest::collection::vec("[aé/]{0,4}", 0..20), text in "[abéè/]{0,8}") {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let beginnings = filed(&keys);
            let mut expected: Vec<&str> = keys.iter().copied().filter(|key| text.starts_with(key)).collect();
            expected.sort_by_key(|key| std::cmp::Reverse(key.len()));
            expected.dedup();
            prop_assert_eq!(beginnings.of(&text).map(|(key, _)| key).collect::<Vec<_>>(), expected);
        }
    }
}

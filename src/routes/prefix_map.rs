//! A map from prefixes to positions, searched with a whole text. It is used for path prefixes and
//! for the index of conditions.
//!
//! A search takes a few steps down a tree, independent of the size of the map.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Positions in a list, by the prefix of a text.
#[derive(Debug, Clone, Default)]
pub struct PrefixMap(BTreeMap<String, Vec<usize>>);

/// Creates a map with these prefixes, without positions.
impl<T: Into<String>> FromIterator<T> for PrefixMap {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut prefixes = Self::default();
        for text in texts {
            prefixes.at(text.into());
        }
        prefixes
    }
}

impl PrefixMap {
    /// The positions of this prefix.
    pub fn get(&self, prefix: &str) -> &[usize] {
        self.0.get(prefix).map_or(&[], Vec::as_slice)
    }

    /// The positions of this prefix, for changes. Adds the prefix if it is new.
    pub fn at(&mut self, prefix: String) -> &mut Vec<usize> {
        self.0.entry(prefix).or_default()
    }

    /// All prefixes with their positions, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0.iter().map(|(prefix, places)| (prefix.as_str(), places.as_slice()))
    }

    /// The prefixes of this text with their positions, the longest first.
    ///
    /// Take the last key that is not after the text. Either it is the longest prefix of the text,
    /// or no key has a longer common part with the text: every key between a prefix of the text and
    /// the text begins with that prefix. So the search continues with the common part, which is
    /// shorter each time.
    pub fn of<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a str, &'a [usize])> {
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            loop {
                let bound = rest?;
                let up_to = (Bound::Unbounded, Bound::Included(bound));
                let (key, places) = self.0.range::<str, _>(up_to).next_back()?;
                let shared = key.bytes().zip(bound.bytes()).take_while(|(one, other)| one == other).count();
                let is_prefix = shared == key.len();
                let left = if is_prefix { shared.checked_sub(1) } else { Some(shared) };
                rest = left.and_then(|left| bound.get(..bound.floor_char_boundary(left)));
                if is_prefix {
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

    fn prefix_map(keys: &[&str]) -> PrefixMap {
        keys.iter().copied().collect()
    }

    #[test]
    fn the_longest_prefix_comes_first() {
        let prefixes = prefix_map(&["", "/ai", "/ai/azure", "/ai/azure/eu", "/ai/b", "/é"]);
        for (text, expected) in [
            ("/ai/azure/v1", &["/ai/azure", "/ai", ""][..]),
            ("/ai/azure/eu", &["/ai/azure/eu", "/ai/azure", "/ai", ""]),
            ("/ai/c", &["/ai", ""]),
            ("/a", &[""]),
            ("", &[""]),
            ("/è", &[""]),
            ("/éa", &["/é", ""]),
        ] {
            assert_eq!(prefixes.of(text).map(|(key, _)| key).collect::<Vec<_>>(), expected, "{text}");
        }
        assert_eq!(prefix_map(&[]).of("a").count(), 0);
    }

    proptest! {
        #[test]
        fn every_prefix_is_found(keys in proptest::collection::vec("[aé/]{0,4}", 0..20), text in "[abéè/]{0,8}") {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let prefixes = prefix_map(&keys);
            let mut expected: Vec<&str> = keys.iter().copied().filter(|key| text.starts_with(key)).collect();
            expected.sort_by_key(|key| std::cmp::Reverse(key.len()));
            expected.dedup();
            prop_assert_eq!(prefixes.of(&text).map(|(key, _)| key).collect::<Vec<_>>(), expected);
        }
    }
}

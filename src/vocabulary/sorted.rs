//! Maps and sets from what an iterator brings, without the sort that `collect` adds to the Wasm for
//! each type of them: 4 KB.

use std::collections::{BTreeMap, BTreeSet};

/// A map with its values in boxes. All such maps with keys of one type share the code that inserts,
/// removes and moves entries, because to that code all boxes are alike. A map with values of its
/// own adds 7 KB of it to the Wasm. For what is not read on the way of each request.
pub type BoxedMap<K, V> = BTreeMap<K, Box<V>>;

/// A map of these entries. Of several with one key, the last one counts.
pub fn map<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}

/// [`map`] with the values in boxes.
pub fn boxed_map<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> BoxedMap<K, V> {
    map(entries.map(|(key, value)| (key, Box::new(value))))
}

/// A set of these.
pub fn set<T: Ord>(elements: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(elements);
    set
}

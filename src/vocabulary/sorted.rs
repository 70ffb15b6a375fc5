//! Maps and sets from what an iterator brings, without the sort that `collect` adds to the Wasm for
//! each type of them: 4 KB.

use std::collections::{BTreeMap, BTreeSet};

/// A map of these entries. Of several with one key, the last one counts.
pub fn map<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}

/// A set of these.
pub fn set<T: Ord>(elements: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(elements);
    set
}

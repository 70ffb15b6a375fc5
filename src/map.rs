//! Maps, built in little code.

use std::collections::BTreeMap;

/// A map of these pairs; of those with the same key the last.
///
/// What `collect` gives as well, but that sorts all pairs at first, and every type of pairs adds a sort of its own to the Wasm. Maps
/// here have a few entries, or come sorted.
pub fn of<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(pairs);
    map
}

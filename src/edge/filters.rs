//! The filters of the pipes that have one. Each belongs to the wait for the end of its pipe, and
//! the host passes the bytes of the pipe to it under the number of that wait.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::stream::usage_filter::{Passing, UsageFilter};

thread_local! {
    static FILTERS: RefCell<BTreeMap<u32, UsageFilter>> = const { RefCell::new(BTreeMap::new()) };
}

/// Adds a filter for the pipe with this wait.
pub fn begin(wait: u32, filter: UsageFilter) {
    FILTERS.with_borrow_mut(|filters| filters.insert(wait, filter));
}

/// Removes the filter of a pipe, if it has one.
pub fn end(wait: u32) {
    FILTERS.with_borrow_mut(|filters| filters.remove(&wait));
}

/// The bytes that pass instead of a piece; `None`: the piece as it is. `has_ended`: the stream has
/// ended, and the piece is empty. Nothing passes of a pipe that nobody waits for any more.
pub fn passing(wait: u32, piece: &[u8], has_ended: bool) -> Option<Vec<u8>> {
    FILTERS.with_borrow_mut(|filters| {
        let Some(filter) = filters.get_mut(&wait) else { return Some(Vec::new()) };
        if has_ended {
            return Some(filter.end());
        }
        match filter.push(piece) {
            Passing::Unchanged => None,
            Passing::Bytes(bytes) => Some(bytes),
        }
    })
}

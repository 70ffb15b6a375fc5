//! The order in which a node's targets are tried.

pub mod affinity;
pub mod cursors;
pub mod order;
pub mod order_notes;

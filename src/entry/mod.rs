//! Where a request enters the graph.
//!
//! A request for a model enters at the node that a rule or its `model` chooses ([`entry_node`]). A
//! request for a stored object enters at a node that is made for it ([`stored_objects`]).
//! [`object_affinity`] says which deployment to try first. [`compared_length`] says how long the
//! input of a request counts as where deployments state their longest one. Before all of that,
//! [`admission`] checks what the rules for its client admit.
//!
//! [`made_objects`] says which stored objects a client may use that sees only its own.
//!
//! [`cache_use`] says which requests may be answered from the cache of their entry node, and
//! [`cache_key`] which of them are equal.

pub mod admission;
pub mod cache_key;
pub mod cache_use;
pub mod compared_length;
pub mod entry_node;
pub mod limit_claims;
pub mod made_objects;
pub mod object_affinity;
mod reach;
pub mod stored_objects;

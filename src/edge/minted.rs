//! What this isolate has seen of who minted which object.

use std::cell::RefCell;

use super::inbound::Inbound;
use crate::entry::object_affinity::{ObjectAffinity, RESPONSE_ID_PREFIX, ids_in_answer};
use crate::request::stored_object::StoredObject;
use crate::routes::graph::{Deployment, Graph};
use crate::vocabulary::operation::Operation;

thread_local! {
    static MINTED: RefCell<ObjectAffinity> = const { RefCell::new(ObjectAffinity::new()) };
}

/// The deployment that minted the object of this id, as far as is known here.
pub fn by(id: &str, graph: &Graph) -> Option<usize> {
    MINTED.with_borrow(|minted| minted.owner_of(id, graph))
}

/// Learns from an answer, of which `first_bytes` are known: the deployment has what it answered with, and knew what it was
/// asked for or went on from.
pub fn learn(inbound: &Inbound, deployment: &Deployment, first_bytes: &[u8]) {
    let facts = &inbound.facts;
    let prefix = match facts.operation {
        Operation::Responses | Operation::StoredResponses => RESPONSE_ID_PREFIX,
        // Not stored, unless the client says so.
        Operation::ChatCompletions if !facts.has_side_effects => return,
        operation if operation.is_on_stored_objects() || operation == Operation::ChatCompletions => "",
        _ => return,
    };
    let asked = inbound.stored.as_ref().and_then(|stored| stored.id.as_deref());
    let known = asked.or(facts.previous_response_id.as_deref());
    // What a file holds tells nothing.
    let told = if inbound.stored.as_ref().is_some_and(StoredObject::is_content) { &[] } else { first_bytes };
    MINTED.with_borrow_mut(|minted| {
        for id in known.into_iter().chain(ids_in_answer(told, prefix)) {
            minted.learn(id, deployment);
        }
    });
}

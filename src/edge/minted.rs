//! What this isolate has seen of who minted which response.

use std::cell::RefCell;

use super::inbound::Inbound;
use crate::request::minted::{Minted, id_in};
use crate::request::operation::Operation;
use crate::routes::graph::{Deployment, Graph};

thread_local! {
    static MINTED: RefCell<Minted> = const { RefCell::new(Minted::new()) };
}

/// The deployment that minted the response of this id, as far as is known here.
pub fn by(id: &str, graph: &Graph) -> Option<usize> {
    MINTED.with_borrow(|minted| minted.by(id, graph))
}

/// Learns from an answer, of which `first_bytes` are known: the deployment has the response that it answered with, and knew the
/// one that it was asked for or went on from.
pub fn learn(inbound: &Inbound, deployment: &Deployment, first_bytes: &[u8]) {
    if !matches!(inbound.facts.operation, Operation::Responses | Operation::StoredResponses) {
        return;
    }
    let known = inbound.stored.as_ref().map(|stored| stored.id.as_str());
    let known = known.or(inbound.facts.previous_response_id.as_deref());
    MINTED.with_borrow_mut(|minted| {
        for id in known.into_iter().chain(id_in(first_bytes)) {
            minted.learn(id, deployment);
        }
    });
}

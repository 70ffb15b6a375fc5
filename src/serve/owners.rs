//! The owners of stored objects, as far as this isolate knows them. The owner is the deployment
//! that has the object.

use super::isolate_memory::Isolate;
use super::receive::Inbound;
use crate::entry::object_affinity::{RESPONSE_ID_PREFIX, ids_in_answer};
use crate::request::stored_object::StoredObject;
use crate::routes::graph::{Deployment, Graph};
use crate::vocabulary::operation::Operation;

impl Isolate {
    /// The owner of the stored object with this id, if this isolate knows it.
    pub fn owner_of(&self, id: &str, graph: &Graph) -> Option<usize> {
        self.owners.borrow().owner_of(id, graph)
    }

    /// Learns owners from a successful answer, whose `first_bytes` are known. The deployment owns
    /// the objects in its answer, and the object that the request asked for or continued.
    pub fn learn_owner(&self, inbound: &Inbound, deployment: &Deployment, first_bytes: &[u8]) {
        let facts = &inbound.facts;
        let prefix = match facts.operation {
            Operation::Responses | Operation::StoredResponses => RESPONSE_ID_PREFIX,
            // A chat completion is stored only if the client asks for it.
            Operation::ChatCompletions if !facts.has_side_effects => return,
            operation if operation.is_on_stored_objects() || operation == Operation::ChatCompletions => "",
            _ => return,
        };
        let asked_for = inbound.stored.as_ref().and_then(|stored| stored.id.as_deref());
        let known = asked_for.or(facts.previous_response_id.as_deref());
        // The content of a file contains no ids of stored objects.
        let is_content = inbound.stored.as_ref().is_some_and(StoredObject::is_content);
        let answer = if is_content { &[] } else { first_bytes };
        let mut owners = self.owners.borrow_mut();
        for id in known.into_iter().chain(ids_in_answer(answer, prefix)) {
            owners.learn(id, deployment);
        }
    }
}

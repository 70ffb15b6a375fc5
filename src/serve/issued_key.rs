//! An issued key in an isolate, and the client that it opens.

use std::cell::RefCell;
use std::rc::Rc;

use crate::keys::key_record::{KeyRecord, KeyState};
use crate::routes::glob::Glob;
use crate::routes::graph::{Client, Graph};
use crate::routes::key_limits;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::time::Instant;

/// An issued key, as an isolate knows it.
#[derive(Debug)]
pub struct IssuedKey {
    pub(super) record: KeyRecord,
    /// Its client, as this key narrows it, and the version of the document that has the client.
    narrowed: RefCell<Option<(String, Option<Rc<Client>>)>>,
    /// What is wrong with its limits, until it is in the log.
    complaint: RefCell<Option<String>>,
}

impl IssuedKey {
    /// A key with this record.
    pub(super) fn new(record: KeyRecord) -> Self {
        Self { record, narrowed: RefCell::default(), complaint: RefCell::default() }
    }

    /// The client that the key opens.
    pub(super) fn client(&self, graph: &Graph, now: Instant) -> Result<Rc<Client>, ClientError> {
        let mut narrowed = self.narrowed.borrow_mut();
        if narrowed.as_ref().is_none_or(|(version, _)| *version != graph.version) {
            *narrowed = Some((graph.version.clone(), self.narrow(graph)));
        }
        let client = narrowed.as_ref().and_then(|(_, client)| client.clone());
        let client = client.ok_or(ClientError::InvalidApiKey)?;
        match self.record.state(now) {
            KeyState::Revoked => Err(ClientError::KeyRevoked),
            KeyState::Expired => Err(ClientError::KeyExpired),
            KeyState::Active if has_expired(&client, now) => Err(ClientError::KeyExpired),
            KeyState::Active => Ok(client),
        }
    }

    /// What is wrong with its limits, once for each version of the document.
    pub(super) fn take_complaint(&self) -> Option<String> {
        self.complaint.take()
    }

    /// Its client, if the document has it and allows such keys.
    fn narrow(&self, graph: &Graph) -> Option<Rc<Client>> {
        let record = &self.record;
        let client = graph.clients.iter().flatten().find(|client| client.name == record.client)?;
        if !client.allow_keys || (record.is_imported && !client.imported_keys) {
            return None;
        }
        let globs = |models: &Vec<String>| models.iter().map(Glob::new).collect();
        // A key whose limits are not understood has no access: nothing would limit it.
        let limits = record.limits.as_deref().unwrap_or_default();
        let key_limits = if limits.is_empty() {
            Rc::default()
        } else {
            match key_limits(limits, record.counted_as()) {
                Ok(limits) => limits.into(),
                Err(issues) => {
                    let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
                    self.complaint.replace(Some(issues.join(". ")));
                    return None;
                }
            }
        };
        Some(Rc::new(Client {
            issued_key: record.id.clone(),
            key_models: record.models.as_ref().map(globs),
            key_limits,
            ..client.clone()
        }))
    }
}

/// Whether the keys of a client have ended.
pub(super) fn has_expired(client: &Client, now: Instant) -> bool {
    client.expires.is_some_and(|expires| now >= expires)
}

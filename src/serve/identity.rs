//! Who sends a request: a client of the document by its own key, or by a key that was issued for
//! it.
//!
//! In the steady state nobody waits: the isolate knows the keys in use, and reads their records
//! again in the background. A request waits for the store only with a key that the isolate does not
//! know, or has not seen for a minute; others with the same key wait for the same read.

use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;

use super::isolate_memory::Isolate;
use super::issued_key::{IssuedKey, has_expired};
use super::key_usage;
use super::platform::{Platform, StoredText};
use super::routes_document::read_within;
use super::timing::look_again;
use crate::keys::key_cache::{KeyForm, KnownKey, ReadBegun};
use crate::keys::key_format::{KeyHash, is_issued};
use crate::keys::key_record::KeyRecord;
use crate::keys::key_uses::KeyUse;
use crate::request::credentials;
use crate::routes::graph::{Client, Graph};
use crate::scan::json_value;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::time::{Instant, Millis};

/// How long a read of an unknown key may take, and how long requests wait for the read of another
/// one.
const READ_MS: Millis = Millis::new(2_000);
/// How long a request waits for a read if a known record can go on.
const REREAD_MS: Millis = Millis::new(500);
/// So much of the name of a record that is broken is shown: enough to find it.
const SHOWN_BYTES: usize = 20;
/// Who sends a request.
pub(super) enum Caller<'g> {
    /// A client by the key of the document.
    Own(&'g Client),
    /// A client by an issued key, which narrows it.
    Issued(Rc<Client>),
}

impl Deref for Caller<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        match self {
            Self::Own(client) => client,
            Self::Issued(client) => client,
        }
    }
}

/// The client whose key in the document this is.
///
/// # Errors
/// There is none, or its time is over.
pub(super) fn own<'g>(graph: &'g Graph, key: Option<&str>, now: Instant) -> Result<&'g Client, ClientError> {
    let client = credentials::client(graph, key)?;
    if has_expired(client, now) { Err(ClientError::KeyExpired) } else { Ok(client) }
}

/// The hash of a key that may be an issued one.
fn candidate(graph: &Graph, key: &str) -> Option<KeyHash> {
    let is_open = graph.clients.iter().flatten().any(|client| client.allow_keys);
    is_open.then(|| KeyHash::of(key))
}

/// The form of a key, if the document allows such keys.
fn form(graph: &Graph, key: &str) -> Option<KeyForm> {
    if is_issued(key) {
        return Some(KeyForm::Issued);
    }
    let takes_any = graph.clients.iter().flatten().any(|client| client.imported_keys);
    takes_any.then_some(KeyForm::Foreign)
}

/// The client of an issued key, if the isolate knows the key. It does not say that the key is used.
pub(super) fn known_issued<P: Platform>(
    platform: &P,
    graph: &Graph,
    key: &str,
) -> Option<Result<Rc<Client>, ClientError>> {
    let (hash, now) = (candidate(graph, key)?, platform.now());
    match platform.isolate().keys.borrow().find(&hash, now) {
        KnownKey::Fresh { value, .. } | KnownKey::Stale(value) => Some(value.client(graph, now)),
        KnownKey::Unknown | KnownKey::Nothing => None,
    }
}

/// The client of a request that was refused, if it has a valid key that the isolate knows.
pub(super) fn known<'g, P: Platform>(
    platform: &P,
    graph: &'g Graph,
    key: Option<&str>,
) -> Option<Caller<'g>> {
    match own(graph, key, platform.now()) {
        Ok(client) => Some(Caller::Own(client)),
        Err(ClientError::InvalidApiKey) => known_issued(platform, graph, key?)?.ok().map(Caller::Issued),
        Err(_) => None,
    }
}

/// Finds out who sends a request.
///
/// # Errors
/// Nobody whom the gateway knows, the time of the key is over, it was revoked, or the store does
/// not answer.
pub(super) async fn identify<'g, P: Platform>(
    platform: &P,
    graph: &'g Graph,
    key: Option<&str>,
) -> Result<Caller<'g>, ClientError> {
    let now = platform.now();
    let (refused, key) = match (own(graph, key, now), key) {
        (Ok(client), _) => return Ok(Caller::Own(client)),
        (Err(error @ ClientError::InvalidApiKey), Some(key)) => (error, key),
        (Err(error), _) => return Err(error),
    };
    let Some(hash) = candidate(graph, key) else { return Err(refused) };
    let found = platform.isolate().keys.borrow().find(&hash, now);
    let (form, stale) = match found {
        KnownKey::Fresh { value, is_due } => {
            if is_due {
                refresh(platform, hash);
            }
            return opened(platform, graph, &value);
        }
        KnownKey::Unknown => return Err(refused),
        // Of a key that the isolate knows, the form is the right one.
        KnownKey::Stale(stale) => (KeyForm::Issued, Some(stale)),
        KnownKey::Nothing => (form(graph, key).ok_or(refused)?, None),
    };
    let issued = look_up(platform, hash, form, stale).await?;
    opened(platform, graph, &issued)
}

/// The client of a key that is used.
fn opened<'g, P: Platform>(
    platform: &P,
    graph: &Graph,
    issued: &IssuedKey,
) -> Result<Caller<'g>, ClientError> {
    let client = issued.client(graph, platform.now());
    let id = &issued.record.id;
    if let Some(why) = issued.take_complaint() {
        platform.warn(&format!("keys: {id} opens nothing, because its limits are not understood: {why}"));
    }
    let client = client?;
    key_usage::note(platform, id, KeyUse::default());
    Ok(Caller::Issued(client))
}

/// It is behind a pointer, as few requests need it.
type KeyFuture<'a> = Pin<Box<dyn Future<Output = Result<Rc<IssuedKey>, ClientError>> + 'a>>;

/// The key with this hash, from the store. `stale`: what is known of it, if the store does not
/// answer.
fn look_up<P: Platform>(
    platform: &P,
    hash: KeyHash,
    form: KeyForm,
    stale: Option<Rc<IssuedKey>>,
) -> KeyFuture<'_> {
    Box::pin(async move {
        let began_at = platform.now();
        let wait_ms = if stale.is_some() { REREAD_MS } else { READ_MS };
        let keys = &platform.isolate().keys;
        loop {
            let now = platform.now();
            match keys.borrow().find(&hash, now) {
                KnownKey::Fresh { value, .. } => return Ok(value),
                KnownKey::Unknown => return Err(ClientError::InvalidApiKey),
                KnownKey::Stale(_) | KnownKey::Nothing => {}
            }
            if now - began_at >= wait_ms {
                return stale.ok_or(ClientError::KeysUnavailable);
            }
            match KeyRead::begin(platform, hash, form) {
                Some(read) => {
                    if !read.finish(wait_ms).await {
                        return stale.ok_or(ClientError::KeysUnavailable);
                    }
                }
                None => look_again(platform, began_at).await,
            }
        }
    })
}

/// Reads a known key again, beside the request.
fn refresh<P: Platform>(platform: &P, hash: KeyHash) {
    let background = platform.clone();
    if let Some(read) = KeyRead::begin(&background, hash, KeyForm::Issued) {
        platform.in_background(async move {
            read.finish(READ_MS).await;
        });
    }
}

/// A read of a record that is under way. If its request ends early, another request may begin one.
struct KeyRead<P: Platform> {
    platform: P,
    hash: KeyHash,
    began_at: Instant,
}

impl<P: Platform> KeyRead<P> {
    fn begin(platform: &P, hash: KeyHash, form: KeyForm) -> Option<Self> {
        let began_at = platform.now();
        let begun = platform.isolate().keys.borrow_mut().begin(&hash, form, began_at);
        (begun == ReadBegun::Yes).then(|| Self { platform: platform.clone(), hash, began_at })
    }

    /// Returns whether the store has answered.
    async fn finish(self, within_ms: Millis) -> bool {
        let Self { platform, hash, began_at } = &self;
        let name = hash.store_name();
        let read = read_within(platform, &name, *began_at + within_ms).await;
        let keys = &platform.isolate().keys;
        let stored = match read {
            Ok(stored) => stored,
            Err(error) => {
                platform.warn(&format!("keys: KV does not answer: {error}"));
                keys.borrow_mut().on_failure(hash, platform.now());
                return false;
            }
        };
        let Some(StoredText { text, .. }) = stored else {
            keys.borrow_mut().learn_unknown(hash, *began_at);
            return true;
        };
        if let Some(record) = json_value::parse::<KeyRecord>(&text) {
            platform.isolate().learn_key(hash, record, *began_at);
        } else {
            let shown = name.get(..SHOWN_BYTES).unwrap_or_default();
            platform.warn(&format!("keys: {shown}… in KV is not the record of a key, and opens nothing"));
            keys.borrow_mut().learn_unknown(hash, *began_at);
        }
        true
    }
}

impl<P: Platform> Drop for KeyRead<P> {
    fn drop(&mut self) {
        self.platform.isolate().keys.borrow_mut().end(&self.hash, self.began_at);
    }
}

impl Isolate {
    /// Learns a record that was read or written at this time.
    pub(super) fn learn_key(&self, hash: &KeyHash, record: KeyRecord, at: Instant) {
        let revision = record.revision;
        self.keys.borrow_mut().learn(hash, revision, at, || Rc::new(IssuedKey::new(record)));
    }

    /// The key with this id was changed here, and the store may have an older record for a while.
    pub(super) fn change_key(&self, id: &str, change: impl FnOnce(&mut KeyRecord)) {
        self.keys.borrow_mut().change(
            |key| key.record.id == id,
            |key| {
                let mut record = key.record.clone();
                change(&mut record);
                Rc::new(IssuedKey::new(record))
            },
        );
    }
}

//! Clients that see only the stored objects that they have made (`objects: own`).
//!
//! Who made what is kept in a ledger object of the client, so that every isolate knows it, also
//! after restarts. An object that is not noted there does not exist for the client. So a note that
//! is lost hides an object from its maker, and never shows it to somebody else.

use std::borrow::Cow;
use std::pin::Pin;

use super::committed::CommittedBody;
use super::object_note::ask;
use super::platform::Platform;
use super::receive::Inbound;
use crate::attempt::phase::PhaseLimits;
use crate::entry::made_objects::{ListPage, MOST_NAMED, ids_of_request};
use crate::limits::object_rows::KNOWN;
use crate::request::query;
use crate::request::stored_object::is_id;
use crate::routes::graph::Commit;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::sorted;
use crate::vocabulary::time::Instant;

/// The most pages of the provider that one list reads, until it has an object of the client.
const MOST_PAGES: u32 = 20;
/// The objects of a page after the first one: as many as every list of OpenAI's API can have.
const WIDE_PAGE: usize = 100;
/// So much of a text that is no id is shown in an error, in characters.
const MOST_SHOWN: usize = 128;

/// The ids of a client's own objects. Behind a pointer, so that there is one copy of the code.
type OwnIds<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, ClientError>> + 'a>>;

/// Those of the ids whose objects the client has made.
fn own_ones<'a, P: Platform>(platform: &'a P, client: &'a str, ids: Vec<String>) -> OwnIds<'a> {
    Box::pin(find_own(platform, client, ids))
}

async fn find_own<P: Platform>(
    platform: &P,
    client: &str,
    mut ids: Vec<String>,
) -> Result<Vec<String>, ClientError> {
    let mut own = Vec::new();
    {
        let made_objects = platform.isolate().made_objects.borrow();
        ids.retain(|id| {
            let is_known = made_objects.knows(client, id);
            own.extend(is_known.then(|| id.clone()));
            !is_known
        });
    }
    let unknown = ids;
    if unknown.is_empty() {
        return Ok(own);
    }
    match ask(platform, client, KNOWN, &unknown).await {
        Ok(known) => {
            let mut made_objects = platform.isolate().made_objects.borrow_mut();
            for id in &known {
                made_objects.learn(client, id);
            }
            own.extend(known);
            Ok(own)
        }
        Err(error) => {
            platform.warn(&format!("objects: the object of {client} does not answer: {error}"));
            Err(ClientError::ObjectsUnavailable)
        }
    }
}

/// Checks that the client has made all objects that its request names.
///
/// # Errors
/// It has not, or nobody can say it.
pub(super) async fn check<P: Platform>(platform: &P, inbound: &Inbound) -> Result<(), ClientError> {
    let ids = ids_of_request(inbound.stored.as_ref(), inbound.body.known_bytes());
    if ids.len() > MOST_NAMED {
        let most = format!("The request names more than {MOST_NAMED} stored objects. Name fewer.");
        return Err(ClientError::InvalidJson(most));
    }
    if let Some(id) = ids.iter().find(|id| !is_id(id)) {
        return Err(ClientError::NotOwnObject { id: id.chars().take(MOST_SHOWN).collect() });
    }
    let own = own_ones(platform, &inbound.facts.client, ids.clone()).await?;
    let own = sorted::set(own.into_iter());
    let foreign = ids.into_iter().rfind(|id| !own.contains(id));
    foreign.map_or(Ok(()), |id| Err(ClientError::NotOwnObject { id }))
}

/// Whether the answer is a list of stored objects.
pub(super) fn is_list(inbound: &Inbound) -> bool {
    let is_of_all = inbound.stored.as_ref().is_some_and(|stored| stored.id.is_none());
    is_of_all && inbound.facts.method == "GET"
}

/// The commit point of an attempt. A list must be here as a whole, and of another answer its first
/// bytes.
pub(super) fn commit(inbound: &Inbound, commit: Commit) -> Commit {
    match commit {
        _ if inbound.guard.sees_own_only && is_list(inbound) => Commit::Complete,
        Commit::Headers if inbound.guard.sees_own_only => Commit::FirstToken,
        commit => commit,
    }
}

/// How far a list is read: on to the first page with an object of the client. An empty page that
/// says that more follow is never an answer: SDKs go on after the last object of a page, and take
/// such a page for the end.
pub(super) struct ListReading<'a> {
    query: Cow<'a, str>,
    pages: u32,
    /// The objects of others on them.
    passed: usize,
}

/// The body to answer with; `None`: the list goes on with another page.
type OwnAnswer<P> = Result<Option<CommittedBody<P>>, ClientError>;

impl<'a> ListReading<'a> {
    /// Before the first page.
    pub(super) fn of(inbound: &'a Inbound) -> Self {
        Self { query: Cow::Borrowed(&inbound.arrival.query), pages: 0, passed: 0 }
    }

    /// The query of the next call.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// The limits of the next call. Each page has the time of one call, within the deadline and the
    /// share of the attempt.
    pub(super) fn limits(&self, of_first: PhaseLimits, now: Instant) -> PhaseLimits {
        if self.pages == 0 { of_first } else { of_first.of_next_call(now) }
    }

    /// Narrows a page of the list. Behind a pointer: few clients have it.
    pub(super) fn on_answer<'b, P: Platform>(
        &'b mut self,
        platform: &'b P,
        inbound: &'b Inbound,
        body: CommittedBody<P>,
    ) -> Pin<Box<dyn Future<Output = OwnAnswer<P>> + 'b>> {
        Box::pin(self.narrowed(platform, inbound, body))
    }

    async fn narrowed<P: Platform>(
        &mut self,
        platform: &P,
        inbound: &Inbound,
        body: CommittedBody<P>,
    ) -> OwnAnswer<P> {
        let CommittedBody::Whole { bytes, usage, .. } = body else {
            return Err(ClientError::ListNotReadable);
        };
        // An answer without a body: nothing has changed.
        if bytes.is_empty() {
            return Ok(Some(CommittedBody::Whole { bytes, is_in_call: true, usage }));
        }
        let page = ListPage::read(&bytes).ok_or(ClientError::ListNotReadable)?;
        let ids = page.ids().map(str::to_owned).collect();
        let own = own_ones(platform, &inbound.facts.client, ids).await?;
        let own = sorted::set(own.into_iter());
        self.pages += 1;
        // A list that is read backwards goes on before its first object.
        let is_forward = !inbound.facts.query.contains_key("before");
        let next = page.next().filter(|_| is_forward && self.pages < MOST_PAGES).map(str::to_owned);
        self.passed += page.ids().count();
        let stated = inbound.facts.query.get("limit").and_then(|limit| limit.parse::<usize>().ok());
        let mut page = page.with_only(|id| own.contains(id));
        if page.is_empty() && page.has_more() {
            let next = next.ok_or(ClientError::NoOwnListed { passed: self.passed })?;
            let mut query = query::with(&self.query, "after", &next);
            // The list of files has long pages unless the client asks for short ones.
            if stated.map_or(inbound.facts.operation != Operation::Files, |limit| limit < WIDE_PAGE) {
                query = query::with(&query, "limit", &WIDE_PAGE.to_string());
            }
            self.query = Cow::Owned(query);
            return Ok(None);
        }
        page.shorten(stated.unwrap_or(usize::MAX).max(1));
        Ok(Some(CommittedBody::Whole { bytes: page.json(), is_in_call: false, usage }))
    }
}

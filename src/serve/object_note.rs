//! What the object of a client with `objects: own` notes: which stored objects the client has
//! made, and which it has deleted.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use super::object_answer::{AskError, text_within};
use super::object_reports::pool_of;
use super::platform::Platform;
use super::receive::Inbound;
use super::timing::{look_again, sleep};
use crate::entry::made_objects::{denies_deletion, ids_made};
use crate::limits::object_rows::{FORGET, NOTE};
use crate::scan::json_value;
use crate::vocabulary::time::Millis;

/// How long the object of a client may take to answer.
const ANSWER_MS: Millis = Millis::new(2_000);
/// How often and after how long a note that was not taken is repeated.
const NOTES: u32 = 5;
const NOTE_AGAIN_MS: Millis = Millis::new(2_000);

/// What is asked of the object of a client. Behind a pointer: few clients have one.
pub(super) type IdsAsked<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, AskError>> + 'a>>;

/// The answer of the object of a client.
#[inline(never)]
pub(super) fn ask<'a, P: Platform>(
    platform: &'a P,
    client: &str,
    path: &'a str,
    ids: &[String],
) -> IdsAsked<'a> {
    let object = format!("{}/objects:{client}", pool_of(platform));
    let body = serde_json::to_string(ids).unwrap_or_default();
    Box::pin(async move {
        let asked = platform.ask_ledger(&object, path, body);
        let text = text_within(platform, ANSWER_MS, asked).await?;
        json_value::parse(&text).ok_or(AskError::Malformed(text))
    })
}

/// What the object of a client notes of an answer: what it says that was made or deleted.
pub(super) struct ObjectNote {
    path: &'static str,
    ids: Vec<String>,
    /// The answer waits until it is sent. A stream that flows does not: its client has the id
    /// before its end, and needs it later.
    waits: bool,
}

impl ObjectNote {
    /// What to note of an answer with these first bytes. The isolate learns it at once. `flows`: it
    /// is a stream that has not ended.
    #[inline(never)]
    pub(super) fn of<P: Platform>(
        platform: &P,
        inbound: &Inbound,
        (answer, flows): (&[u8], bool),
    ) -> Option<Self> {
        let (facts, stored) = (&inbound.facts, inbound.stored.as_ref());
        let client = &facts.client;
        let mut made_objects = platform.isolate().made_objects.borrow_mut();
        if facts.method == "DELETE" {
            let id = stored?.deleted_id().filter(|_| !denies_deletion(answer))?;
            made_objects.forget(client, id);
            return Some(Self { path: FORGET, ids: vec![id.to_owned()], waits: true });
        }
        // A model's answer is stored only if the client asks for it.
        if !facts.has_side_effects {
            return None;
        }
        let ids = ids_made(facts.operation, facts.method == "POST", answer);
        for id in &ids {
            made_objects.learn(client, id);
        }
        (!ids.is_empty()).then(|| Self { path: NOTE, ids, waits: stored.is_some() || !flows })
    }

    /// Sends it in the background, and again if it is not taken at once. So it is sent also if the
    /// client leaves. Whoever must not have the answer before waits for the first call. Behind a
    /// pointer: few clients have it.
    pub(super) fn send<'a, P: Platform>(
        self,
        platform: &'a P,
        client: &str,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        let Self { path, ids, waits } = self;
        let is_called = Rc::new(Cell::new(!waits));
        let (background, client, has_called) = (platform.clone(), client.to_owned(), Rc::clone(&is_called));
        platform.in_background(async move {
            for again in 0..NOTES {
                if again > 0 {
                    sleep(&background, NOTE_AGAIN_MS).await;
                }
                let sent = ask(&background, &client, path, &ids).await;
                has_called.set(true);
                if sent.is_ok() {
                    return;
                }
            }
            background.warn(&format!("{path}: the object of {client} has not noted {}", ids.join(", ")));
        });
        Box::pin(async move {
            let began_at = platform.now();
            while !is_called.get() && platform.now() - began_at < ANSWER_MS {
                look_again(platform, began_at).await;
            }
        })
    }
}

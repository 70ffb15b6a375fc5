//! Which stored objects a client may use that sees only its own: those that it has made.
//!
//! What an answer says about who made what counts only where nobody but the provider can write: the
//! top level of the answer. A client's `metadata` comes back in it, too, with any names in it.
//! What a request names is looked for at any depth, as a parser finds it: an id that is overlooked
//! would open the object of somebody else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::request::json_body::Peek;
use crate::request::stored_object::{StoredObject, is_id};
use crate::scan::json_value;
use crate::scan::texts::{decoded, length_of};
use crate::scan::top_level;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::stable_hash;

/// Most objects that an isolate remembers. It asks for the others.
const MOST_KNOWN: usize = 4_096;

/// The most stored objects that a request may name.
pub const MOST_NAMED: usize = 1_000;

/// Members whose texts are ids of stored objects.
const REFERENCES: [&str; 17] = [
    "assistant_id",
    "batch_id",
    "container",
    "conversation_id",
    "file_id",
    "file_ids",
    "input_file_id",
    "previous_response_id",
    "response_id",
    "skill_id",
    "thread_id",
    "training_file",
    "upload_id",
    "validation_file",
    "vector_store_id",
    "vector_store_ids",
    "video_id",
];

/// The objects of clients that an isolate knows, the newest ones.
#[derive(Debug, Default)]
pub struct MadeObjects {
    /// Two hashes of the client with the id: one alone could be that of another object.
    known: BTreeMap<u64, u64>,
    /// The first hashes, oldest first.
    ages: VecDeque<u64>,
}

impl MadeObjects {
    /// No name of a client has a line break, and no id.
    fn hashes(client: &str, id: &str) -> (u64, u64) {
        let hash = |parts: [&str; 3]| stable_hash(parts.concat().as_bytes());
        (hash([client, "\n", id]), hash([id, "\n", client]))
    }

    /// Whether the isolate knows that this client has made the object.
    pub fn knows(&self, client: &str, id: &str) -> bool {
        let (first, second) = Self::hashes(client, id);
        self.known.get(&first) == Some(&second)
    }

    /// This client has made the object.
    pub fn learn(&mut self, client: &str, id: &str) {
        let (first, second) = Self::hashes(client, id);
        if self.known.insert(first, second).is_none() {
            self.ages.push_back(first);
        }
        if self.ages.len() > MOST_KNOWN
            && let Some(oldest) = self.ages.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// The object is deleted.
    pub fn forget(&mut self, client: &str, id: &str) {
        self.known.remove(&Self::hashes(client, id).0);
    }
}

/// What the value of a member is for ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemberKind {
    /// Its texts are ids.
    Reference,
    /// The same, or it is an object with an `id`.
    Either,
    /// It is an object with an `id`.
    Holder,
    /// What was said before, by a model or by the client.
    Said,
    /// A container. In what was said, a tool has made it.
    Container,
    /// It is the client's own, with any names: no provider looks for objects in it.
    Free,
    Other,
}

impl MemberKind {
    /// `parent`: that of the member that the object is the value of. `depth`: how many objects and
    /// lists are around that object.
    fn of(name: &str, parent: Self, depth: usize) -> Self {
        match name {
            "id" if matches!(parent, Self::Holder | Self::Either) => Self::Reference,
            "conversation" => Self::Either,
            "source" | "video" | "characters" => Self::Holder,
            "metadata" | "attributes" if depth == 1 => Self::Free,
            "input" | "messages" if depth == 1 => Self::Said,
            "container_id" => Self::Container,
            name if REFERENCES.contains(&name) => Self::Reference,
            _ => Self::Other,
        }
    }
}

/// The ids of stored objects that a JSON body names, in their order, and texts in their places that
/// are no ids: whatever a server makes of those, nobody has made such an object. Not more than one
/// beyond [`MOST_NAMED`]. `body` is valid JSON, or was refused.
pub fn ids_named(body: &[u8]) -> Vec<String> {
    let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
    // The kinds of the members around, outermost first.
    let (mut around, mut kind) = (Vec::new(), MemberKind::Other);
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first().filter(|_| ids.len() <= MOST_NAMED) {
        rest = after;
        match byte {
            b'{' | b'[' => {
                around.push(kind);
                // The elements of a list are what the list is.
                if byte == b'{' {
                    kind = MemberKind::Other;
                }
            }
            b'}' | b']' => kind = around.pop().unwrap_or(MemberKind::Other),
            b'"' => {
                let length = length_of(after);
                let text = after.get(..length).unwrap_or_default();
                rest = after.get(length + 1..).unwrap_or_default();
                if rest.trim_ascii_start().starts_with(b":") {
                    let parent = around.last().copied().unwrap_or(MemberKind::Other);
                    // Some servers read names in any case.
                    kind = MemberKind::of(&decoded(text).to_ascii_lowercase(), parent, around.len());
                    continue;
                }
                let is_said = around.get(1) == Some(&MemberKind::Said);
                let is_named = match kind {
                    MemberKind::Reference | MemberKind::Either => true,
                    MemberKind::Container => !is_said,
                    MemberKind::Holder | MemberKind::Said | MemberKind::Free | MemberKind::Other => false,
                };
                let is_free = around.get(1) == Some(&MemberKind::Free);
                if is_named && !is_free && !text.is_empty() {
                    let id = decoded(text).into_owned();
                    if seen.insert(id.clone()) {
                        ids.push(id);
                    }
                }
            }
            _ => {}
        }
    }
    ids
}

/// The ids that a request about stored objects names in its path and its body, or any other request
/// in its body. `json`: its body, if it is JSON.
pub fn ids_of_request(stored: Option<&StoredObject>, json: &[u8]) -> Vec<String> {
    let mut ids = if Peek::of(json).is_ok() { ids_named(json) } else { Vec::new() };
    ids.extend(stored.and_then(|stored| stored.id.clone()));
    ids
}

/// The ids of what a request has made, in the first bytes of its answer: JSON, or a stream whose
/// first event has the object.
pub fn ids_made(operation: Operation, is_post: bool, answer: &[u8]) -> Vec<String> {
    // A character may be cut off at the end.
    let answer = answer.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let first_event =
        || answer.lines().find_map(|line| json_value::parse::<Value>(line.strip_prefix("data:")?));
    let Some(answer) = json_value::parse::<Value>(answer).or_else(first_event) else {
        return begun_id(answer).filter(|_| is_post).into_iter().collect();
    };
    let is_event = |kind: &str| kind.starts_with("response.");
    let object = match answer.get("response") {
        Some(response) if answer.get("type").and_then(Value::as_str).is_some_and(is_event) => response,
        _ => &answer,
    };
    let member = |name: &str| object.get(name).and_then(Value::as_str);
    let mut ids = Vec::new();
    ids.extend(member("id").filter(|_| is_post));
    match operation {
        Operation::Batches => ids.extend(["output_file_id", "error_file_id"].into_iter().filter_map(member)),
        Operation::FineTuning => {
            ids.extend(member("fine_tuned_model"));
            let results = object.get("result_files").and_then(Value::as_array);
            ids.extend(results.into_iter().flatten().filter_map(Value::as_str));
        }
        Operation::Uploads => {
            ids.extend(object.get("file").and_then(|file| file.get("id")).and_then(Value::as_str));
        }
        Operation::Threads => ids.extend(member("thread_id").filter(|_| is_post)),
        _ => {}
    }
    ids.into_iter().filter(|id| is_id(id)).map(str::to_owned).collect()
}

/// Whether the answer to a deletion says that nothing was deleted.
pub fn denies_deletion(answer: &[u8]) -> bool {
    let answer = str::from_utf8(answer).ok().and_then(json_value::parse::<Value>);
    answer.is_some_and(|answer| answer.get("deleted") == Some(&Value::Bool(false)))
}

/// The id of an object of which only the beginning is here.
fn begun_id(answer: &str) -> Option<String> {
    let (members, _) = top_level::parse(answer);
    let id = members.iter().find(|member| answer.get(member.key.clone()) == Some("\"id\""))?;
    let id = answer.get(id.value.clone())?.strip_prefix('"')?.strip_suffix('"')?;
    is_id(id).then(|| id.to_owned())
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage(Value);

impl ListPage {
    /// Reads a page. `None` if it has another form.
    pub fn read(json: &[u8]) -> Option<Self> {
        let page: Value = json_value::parse(str::from_utf8(json).ok()?)?;
        let has_id = |element: &Value| element.get("id").is_some_and(Value::is_string);
        page.get("data")?.as_array()?.iter().all(has_id).then_some(Self(page))
    }

    /// The ids of its objects.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let data = self.0.get("data").and_then(Value::as_array).into_iter().flatten();
        data.filter_map(|element| element.get("id").and_then(Value::as_str))
    }

    /// Whether another page follows.
    pub fn has_more(&self) -> bool {
        self.0.get("has_more").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The last id, if another page follows.
    pub fn next(&self) -> Option<&str> {
        self.ids().last().filter(|id| self.has_more() && is_id(id))
    }

    /// Leaves only the objects with these ids.
    #[must_use]
    pub fn with_only(mut self, is_own: impl Fn(&str) -> bool) -> Self {
        if let Some(data) = self.0.get_mut("data").and_then(Value::as_array_mut) {
            data.retain(|element| element.get("id").and_then(Value::as_str).is_some_and(&is_own));
        }
        self.name_ends();
        self
    }

    /// Leaves only the first objects. The others are on the pages that follow.
    pub fn shorten(&mut self, most: usize) {
        let Some(data) = self.0.get_mut("data").and_then(Value::as_array_mut) else { return };
        if data.len() > most {
            data.truncate(most);
            if let Some(page) = self.0.as_object_mut() {
                page.insert("has_more".to_owned(), true.into());
            }
            self.name_ends();
        }
    }

    /// Whether it has no objects.
    pub fn is_empty(&self) -> bool {
        self.ids().next().is_none()
    }

    /// Says which objects are its first and its last one.
    fn name_ends(&mut self) {
        let (first, last) = (self.ids().next().map(str::to_owned), self.ids().last().map(str::to_owned));
        for (name, id) in [("first_id", first), ("last_id", last)] {
            if let Some(member) = self.0.get_mut(name) {
                *member = id.into();
            }
        }
    }

    /// The page as JSON.
    pub fn json(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests;

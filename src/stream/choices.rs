//! Which choices of a chat stream have begun, and which of them have finished.
//!
//! A request for several choices streams them interleaved, and each chunk names its choice by
//! `index`. The answer is complete when every choice that began has its `finish_reason`.
//!
//! Invariants: memory is fixed for any indices; a chunk that can change nothing is only searched,
//! not parsed.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::scan::needle::Needle;

/// Most choices that are distinguished: the most that OpenAI's `n` allows.
const MOST: u32 = u128::BITS;

static INDEX: Needle = Needle::of("\"index\"");
static CHOICES: Needle = Needle::of("\"choices\"");
static DELTA: Needle = Needle::of("\"delta\"");
static FINISH_REASON: Needle = Needle::of("\"finish_reason\"");

/// The choices of one stream, one bit for each index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatChoices {
    begun: u128,
    finished: u128,
    /// A choice with a larger index came, so it is unknown whether all have finished.
    has_beyond: bool,
}

impl ChatChoices {
    /// Reads a chunk if it may change something. Data that is not a chunk changes nothing.
    pub fn watch(&mut self, data: &[u8]) {
        if self.may_learn_from(data) {
            self.read(data);
        }
    }

    /// Parses a whole chunk.
    pub fn read(&mut self, data: &[u8]) {
        let Ok(chunk) = serde_json::from_slice::<ChatChunk<'_>>(data) else { return };
        for choice in chunk.choices {
            let is_finished = choice.finish_reason.is_some_and(|reason| reason.get() != "\"\"");
            self.note(choice.index.unwrap_or_default(), is_finished);
        }
    }

    /// Reads the start and the end of a chunk that is too long to be kept. It is long because of
    /// the text of a choice, so it counts as a chunk with one choice.
    pub fn read_ends(&mut self, start: &[u8], end: &[u8]) {
        if !CHOICES.is_in(start) {
            return;
        }
        // The index of a choice stands before its delta or after it. An index within the delta is
        // one of a tool call.
        let delta = DELTA.values_in(start).next().map_or(0, <[u8]>::len);
        let before = INDEX.values_in(start).next().filter(|index| index.len() > delta);
        let index = before.or_else(|| INDEX.values_in(end).last()).and_then(leading_number);
        let mut reasons = FINISH_REASON.values_in(start).chain(FINISH_REASON.values_in(end));
        let is_finished = reasons.any(|reason| reason.starts_with(b"\"") && !reason.starts_with(b"\"\""));
        self.note(index.unwrap_or_default(), is_finished);
    }

    fn note(&mut self, index: u64, is_finished: bool) {
        let Some(bit) = bit(index) else {
            self.has_beyond = true;
            return;
        };
        self.begun |= bit;
        if is_finished {
            self.finished |= bit;
        }
    }

    /// Whether a choice began.
    pub fn have_begun(&self) -> bool {
        self.begun != 0 || self.has_beyond
    }

    /// Whether at least one choice began, and all that began have finished.
    pub fn are_finished(&self) -> bool {
        self.begun != 0 && self.begun == self.finished && !self.has_beyond
    }

    /// Whether parsing a chunk may change anything. `true` may be wrong, because tool calls also
    /// have an `index`.
    fn may_learn_from(&self, data: &[u8]) -> bool {
        // A choice without an index is the first one. It may stand beside one that has an index.
        let mut indices = INDEX.values_in(data).map(leading_number);
        !self.knows(0)
            || indices.any(|index| index.is_none_or(|index| !self.knows(index)))
            || FINISH_REASON.has_value_in(data)
    }

    fn knows(&self, index: u64) -> bool {
        bit(index).map_or(self.has_beyond, |bit| self.begun & bit != 0)
    }
}

fn bit(index: u64) -> Option<u128> {
    u32::try_from(index).ok().filter(|index| *index < MOST).map(|index| 1 << index)
}

/// The whole number at the start of `json`.
fn leading_number(json: &[u8]) -> Option<u64> {
    let digits = json.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(json.get(..digits)?).ok()?.parse().ok()
}

#[derive(Deserialize)]
struct ChatChunk<'a> {
    #[serde(borrow)]
    choices: Vec<ChatChoice<'a>>,
}

#[derive(Deserialize)]
struct ChatChoice<'a> {
    /// Servers that support only one choice may leave it out.
    index: Option<u64>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

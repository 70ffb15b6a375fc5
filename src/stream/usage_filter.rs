//! Withholds the chunk with the usage from a chat stream whose client did not ask for it.
//!
//! A provider that is asked for usage sends one more chunk: its `choices` are an empty list (some
//! servers write `null`, or leave them out), and it has `usage`. The client must not see it, unless
//! it reports an error, too. So an event is withheld until it is known that it is
//! not this chunk: at the latest at its end, and as soon as a choice is seen in it. What does not
//! begin such an event passes at once.
//!
//! Invariants: what passes is the stream byte for byte, without the events of these chunks, however
//! the bytes are cut; at most [`MOST_WITHHELD`] bytes are withheld.

use memchr::memchr2;

use crate::scan::needle::Needle;
use crate::scan::top_level::{each_member, element_count};

/// The most bytes of an event that are withheld. The chunk with the usage is far shorter.
pub const MOST_WITHHELD: usize = 16 * 1024;

static USAGE: Needle = Needle::of("\"usage\"");
static CHOICES: Needle = Needle::of("\"choices\"");

/// Withholds the chunk with the usage.
#[derive(Debug, Default)]
pub struct UsageFilter {
    /// The event that is arriving. Empty before its first byte, and if it `passes`.
    withheld: Vec<u8>,
    /// It is known that the event that is arriving is another one.
    passes: bool,
    /// The latest event was the chunk with the usage.
    is_after_usage: bool,
    lines: LineEnds,
}

/// What passes of a piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Passing {
    /// The piece as it is.
    Unchanged,
    /// These bytes instead of it.
    Bytes(Vec<u8>),
}

impl UsageFilter {
    /// What passes of a whole stream.
    pub fn of_whole(bytes: Vec<u8>) -> Vec<u8> {
        let mut filter = Self::default();
        match filter.push(&bytes) {
            Passing::Unchanged => bytes,
            Passing::Bytes(mut passing) => {
                passing.append(&mut filter.end());
                passing
            }
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, piece: &[u8]) -> Passing {
        if self.is_plain(piece) {
            self.lines = LineEnds { is_empty: true, is_after_cr: piece.ends_with(b"\r") };
            return Passing::Unchanged;
        }
        let mut passing = Vec::new();
        let mut rest = piece;
        if self.is_between_events() && self.lines.is_after_cr && !rest.is_empty() {
            // A LF here belongs to the line end of the event before.
            self.lines.is_after_cr = false;
            if let Some(after) = rest.strip_prefix(b"\n") {
                rest = after;
                if !self.is_after_usage {
                    passing.push(b'\n');
                }
            }
        }
        while let Some((event, after)) =
            self.lines.end_of_event(rest).and_then(|end| rest.split_at_checked(end))
        {
            self.take(event, &mut passing);
            self.is_after_usage = !self.passes && is_usage_chunk(&self.withheld);
            if !self.is_after_usage {
                passing.append(&mut self.withheld);
            }
            self.withheld.clear();
            self.passes = false;
            rest = after;
        }
        self.take(rest, &mut passing);
        if is_another(&self.withheld) {
            self.passes = true;
            passing.append(&mut self.withheld);
        }
        Passing::Bytes(passing)
    }

    /// What passes at the end of a stream that ends cleanly: an event without its empty line, which
    /// some clients read.
    pub fn end(&mut self) -> Vec<u8> {
        let withheld = std::mem::take(&mut self.withheld);
        let event = [&withheld[..], b"\n\n"].concat();
        if is_usage_chunk(&event) { Vec::new() } else { withheld }
    }

    fn take(&mut self, bytes: &[u8], passing: &mut Vec<u8>) {
        if self.passes { passing } else { &mut self.withheld }.extend_from_slice(bytes);
    }

    fn is_between_events(&self) -> bool {
        !self.passes && self.withheld.is_empty()
    }

    /// Whether a piece consists of whole events, none of which is the chunk with the usage. Nearly
    /// all pieces do.
    fn is_plain(&self, piece: &[u8]) -> bool {
        let ends = [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"];
        self.is_between_events()
            && !(self.lines.is_after_cr && piece.starts_with(b"\n"))
            && ends.iter().any(|end| piece.ends_with(end))
            && !has_usage(piece)
    }
}

/// Where events end: after an empty line. Lines end with CRLF, LF or CR.
#[derive(Debug, Clone, Copy)]
struct LineEnds {
    /// The current line is empty so far.
    is_empty: bool,
    /// The last byte was CR: a LF that follows belongs to it.
    is_after_cr: bool,
}

impl Default for LineEnds {
    fn default() -> Self {
        Self { is_empty: true, is_after_cr: false }
    }
}

impl LineEnds {
    /// The length of `bytes` up to the end of the event. `None` if it does not end in them.
    fn end_of_event(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..)?;
            let Some(length) = memchr2(b'\n', b'\r', rest) else {
                if !rest.is_empty() {
                    *self = Self { is_empty: false, is_after_cr: false };
                }
                return None;
            };
            let is_cr = rest.get(length) == Some(&b'\r');
            let is_second = length == 0 && self.is_after_cr && !is_cr;
            let ends_event = length == 0 && self.is_empty && !is_second;
            *self = Self { is_empty: true, is_after_cr: is_cr };
            at += length + 1;
            if ends_event {
                if is_cr && bytes.get(at) == Some(&b'\n') {
                    self.is_after_cr = false;
                    at += 1;
                }
                return Some(at);
            }
        }
    }
}

/// Whether there is usage in these bytes, in one of the events or at any depth.
fn has_usage(bytes: &[u8]) -> bool {
    USAGE.values_in(bytes).any(|value| value.starts_with(b"{"))
}

/// Whether an event is the chunk with the usage: it has usage, no choice, and no error.
fn is_usage_chunk(event: &[u8]) -> bool {
    if !has_usage(event) || is_another(event) {
        return false;
    }
    let mut data = Vec::with_capacity(event.len());
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        // A line break between two parts of the data changes nothing: in JSON it is white space.
        data.extend_from_slice(line.strip_prefix(b"data:").unwrap_or_default());
        data.push(b'\n');
    }
    let (mut has_choices, mut has_usage, mut has_error) = (false, false, false);
    let read = each_member(&data, &mut |name, value| match name {
        b"choices" => has_choices = value != b"null" && element_count(value) != Some(0),
        b"usage" => has_usage = value.starts_with(b"{"),
        b"error" => has_error = value != b"null",
        _ => {}
    });
    read.is_some() && has_usage && !has_choices && !has_error
}

/// Whether the beginning of an event shows that it is not the chunk with the usage. What follows
/// does not change that.
fn is_another(event: &[u8]) -> bool {
    let has_choice =
        |list: &[u8]| list.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"));
    event.trim_ascii_end().len() > MOST_WITHHELD
        || event.starts_with(b"data: [DONE]")
        || CHOICES.values_in(event).any(has_choice)
}

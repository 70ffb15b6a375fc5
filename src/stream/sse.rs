//! An incremental parser of server-sent events, on bytes.
//!
//! It follows the WHATWG HTML standard, §9.2.6 "Interpreting an event stream": lines end with CRLF, LF or CR; a byte order
//! mark at the start is dropped; comments and unknown fields are ignored; several `data` lines are joined with LF; an event
//! is dispatched by an empty line, and one that the end of the stream cuts off is none. `id` and `retry` mean nothing here.
//!
//! Invariants: the same bytes give the same events however they are cut into chunks, in the middle of a line end or of a
//! UTF-8 sequence too; memory stays below a few times [`EVENT_LIMIT`] whatever arrives.

use memchr::memchr2;

/// Events whose lines or data are longer than this many bytes are reported without their data.
pub const EVENT_LIMIT: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event. The bytes may be anything, UTF-8 or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The `event` field; empty where there was none.
    pub name: &'a [u8],
    /// The `data` lines, joined with LF; empty where `oversized`.
    pub data: &'a [u8],
    /// The event was longer than [`EVENT_LIMIT`], and its data is not here.
    pub is_oversized: bool,
}

/// What the parser remembers between two chunks.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come yet: at most one byte more than the limit, which then tells that it
    /// is too long.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    seen: DataState,
    /// The last byte was CR: a LF that follows belongs to it.
    is_after_cr: bool,
    /// The first line is over, and with it the place of a byte order mark.
    has_begun: bool,
}

/// What has been seen of the data of the event that is being read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum DataState {
    /// No `data` line: an empty line dispatches nothing.
    #[default]
    Nothing,
    /// All of it is there.
    Whole,
    /// It was too much, and is not there.
    Oversized,
}

impl Parser {
    /// Reads the next bytes of the stream and hands over every event that they complete.
    pub fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(SseEvent<'_>)) {
        let mut rest = bytes;
        if self.is_after_cr && !rest.is_empty() {
            self.is_after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some((line, end, after)) = memchr2(b'\n', b'\r', rest).and_then(|at| split_around(rest, at))
        {
            if self.line.is_empty() {
                self.read_line(line, &mut on_event);
            } else {
                self.keep(line);
                let mut whole = std::mem::take(&mut self.line);
                self.read_line(&whole, &mut on_event);
                whole.clear();
                self.line = whole; // its capacity serves the next line
            }
            rest = after;
            if end == b'\r' {
                self.is_after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.keep(rest);
    }

    /// Adds to the unfinished line what fits.
    fn keep(&mut self, bytes: &[u8]) {
        let room = (EVENT_LIMIT + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Reads one line without its end.
    fn read_line(&mut self, line: &[u8], on_event: &mut impl FnMut(SseEvent<'_>)) {
        // Of a line that is too long only the beginning may have been kept, so its value counts for nothing.
        let too_long = line.len() > EVENT_LIMIT;
        let line = if self.has_begun { line } else { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) };
        self.has_begun = true;
        if line.is_empty() {
            return self.dispatch(on_event);
        }
        let (field, value) = match memchr::memchr(b':', line).and_then(|at| split_around(line, at)) {
            Some((field, _, value)) => (field, value.strip_prefix(b" ").unwrap_or(value)),
            None => (line, &[][..]),
        };
        match field {
            b"data" => self.add_data(value, too_long),
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(if too_long { b"" } else { value });
            }
            _ => {}
        }
    }

    fn add_data(&mut self, value: &[u8], too_long: bool) {
        if too_long || self.seen == DataState::Oversized || self.data.len() + value.len() > EVENT_LIMIT {
            self.data.clear();
            self.seen = DataState::Oversized;
            return;
        }
        if self.seen == DataState::Whole {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.seen = DataState::Whole;
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(SseEvent<'_>)) {
        if self.seen != DataState::Nothing {
            let is_oversized = self.seen == DataState::Oversized;
            on_event(SseEvent { name: &self.name, data: &self.data, is_oversized });
        }
        self.name.clear();
        self.data.clear();
        self.seen = DataState::Nothing;
    }
}

/// What is before the byte at `at`, that byte, and what is after it.
fn split_around(bytes: &[u8], at: usize) -> Option<(&[u8], u8, &[u8])> {
    let (before, from) = bytes.split_at_checked(at)?;
    let (byte, after) = from.split_first()?;
    Some((before, *byte, after))
}

//! An incremental parser of server-sent events, on bytes.
//!
//! It follows the WHATWG HTML standard, §9.2.6 "Interpreting an event stream": lines end with
//! CRLF, LF or CR; a byte order mark at the start is dropped; comments and unknown fields are
//! ignored; several `data` lines are joined with LF; an empty line dispatches an event; an event
//! that is cut off by the end of the stream is dropped. `id` and `retry` are ignored.
//!
//! Invariants: the same bytes give the same events for any cut into chunks, also in the middle of a
//! line end or of a UTF-8 sequence; memory stays below a few times [`EVENT_LIMIT`] for any input.

use memchr::memchr2;

/// Events whose lines or data are longer than this many bytes are reported without their data.
pub const EVENT_LIMIT: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event. The bytes may be any bytes, not only UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The `event` field; empty if there is none.
    pub name: &'a [u8],
    /// The `data` lines, joined with LF; empty if `is_oversized`.
    pub data: &'a [u8],
    /// The event was longer than [`EVENT_LIMIT`], so its data is missing.
    pub is_oversized: bool,
}

/// The parser's state between two chunks.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come yet. It holds at most one byte more than the
    /// limit, which shows that the line is too long.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    seen: DataState,
    /// The last byte was CR: a LF that follows belongs to it.
    is_after_cr: bool,
    /// The first line is over, so no byte order mark can follow.
    has_begun: bool,
}

/// The data of the current event, as far as it has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum DataState {
    /// No `data` line: an empty line dispatches nothing.
    #[default]
    Nothing,
    /// All of it is here.
    Whole,
    /// It was too long and is dropped.
    Oversized,
}

impl Parser {
    /// Reads the next bytes of the stream and calls `on_event` for every event that they complete.
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
                self.extend_line(line);
                let mut whole = std::mem::take(&mut self.line);
                self.read_line(&whole, &mut on_event);
                whole.clear();
                self.line = whole; // reuses its capacity for the next line
            }
            rest = after;
            if end == b'\r' {
                self.is_after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.extend_line(rest);
    }

    /// Adds bytes to the unfinished line, up to the limit.
    fn extend_line(&mut self, bytes: &[u8]) {
        let room = (EVENT_LIMIT + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Reads one line without its end.
    fn read_line(&mut self, line: &[u8], on_event: &mut impl FnMut(SseEvent<'_>)) {
        // Only the beginning of a line that is too long may be here, so its value is ignored.
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

/// The bytes before `at`, the byte at `at`, and the bytes after it.
fn split_around(bytes: &[u8], at: usize) -> Option<(&[u8], u8, &[u8])> {
    let (before, from) = bytes.split_at_checked(at)?;
    let (byte, after) = from.split_first()?;
    Some((before, *byte, after))
}

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

/// Of events whose lines or data are longer than this many bytes, only both ends are reported.
pub const EVENT_LIMIT: usize = 1024 * 1024;

/// How much is reported of each end of the data that is longer than [`EVENT_LIMIT`].
pub const RETAINED_BYTES: usize = 4 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event. The bytes may be any bytes, not only UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The `event` field; empty if there is none.
    pub name: &'a [u8],
    /// The `data` lines, joined with LF; if `is_oversized`, only their first [`RETAINED_BYTES`].
    pub data: &'a [u8],
    /// The last [`RETAINED_BYTES`] of data that is too long; otherwise empty.
    pub end: &'a [u8],
    /// The event was longer than [`EVENT_LIMIT`], so the middle of its data is missing.
    pub is_oversized: bool,
}

/// The parser's state between two chunks.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come yet. It holds at most one byte more than the
    /// limit, which shows that the line is too long.
    line: Vec<u8>,
    /// The end of the part of the line that is not in `line`.
    line_end: Vec<u8>,
    name: Vec<u8>,
    /// The data, or the beginning of data that is too long.
    data: Vec<u8>,
    /// The end of data that is too long.
    data_end: Vec<u8>,
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
    /// It is too long. Only its ends are here.
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
                self.read_line(line, &[], &mut on_event);
            } else {
                self.extend_line(line);
                let (mut whole, mut end) =
                    (std::mem::take(&mut self.line), std::mem::take(&mut self.line_end));
                self.read_line(&whole, &end, &mut on_event);
                whole.clear();
                end.clear();
                (self.line, self.line_end) = (whole, end); // reuses their capacity for the next line
            }
            rest = after;
            if end == b'\r' {
                self.is_after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.extend_line(rest);
    }

    /// Whether no byte has come yet.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_begun && self.line.is_empty()
    }

    /// The event that is still arriving, as if it were too long: its name and the beginning of its
    /// data.
    pub(super) fn unfinished(&self) -> SseEvent<'_> {
        let line = self.line.strip_prefix(b"data:").unwrap_or_default();
        let data = if self.data.is_empty() { line.trim_ascii_start() } else { &self.data };
        let data = data.get(..RETAINED_BYTES).unwrap_or(data);
        SseEvent { name: &self.name, data, end: b"", is_oversized: true }
    }

    /// Adds bytes to the unfinished line: up to the limit to its beginning, and to its end.
    fn extend_line(&mut self, bytes: &[u8]) {
        let room = (EVENT_LIMIT + 1).saturating_sub(self.line.len());
        let (within, beyond) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.line.extend_from_slice(within);
        extend_end(&mut self.line_end, beyond);
    }

    /// Reads one line without its line end. If the line is too long, `line` may be only its
    /// beginning, and `end` the last bytes of the rest.
    fn read_line(&mut self, line: &[u8], end: &[u8], on_event: &mut impl FnMut(SseEvent<'_>)) {
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
            b"data" => self.add_data(value, end, too_long),
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(if too_long { b"" } else { value });
            }
            _ => {}
        }
    }

    fn add_data(&mut self, value: &[u8], end: &[u8], too_long: bool) {
        let separator: &[u8] = if self.seen == DataState::Nothing { b"" } else { b"\n" };
        let length = self.data.len() + separator.len() + value.len();
        if self.seen != DataState::Oversized && !too_long && length <= EVENT_LIMIT {
            self.data.extend_from_slice(separator);
            self.data.extend_from_slice(value);
            self.seen = DataState::Whole;
            return;
        }
        if self.seen == DataState::Whole {
            extend_end(&mut self.data_end, &self.data);
            self.data.truncate(RETAINED_BYTES);
        }
        self.seen = DataState::Oversized;
        for part in [separator, value] {
            let room = RETAINED_BYTES.saturating_sub(self.data.len());
            self.data.extend_from_slice(part.get(..room).unwrap_or(part));
            extend_end(&mut self.data_end, part);
        }
        extend_end(&mut self.data_end, end);
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(SseEvent<'_>)) {
        if self.seen != DataState::Nothing {
            let is_oversized = self.seen == DataState::Oversized;
            let end = last_bytes(&self.data_end);
            on_event(SseEvent { name: &self.name, data: &self.data, end, is_oversized });
        }
        self.name.clear();
        self.data.clear();
        self.data_end.clear();
        self.seen = DataState::Nothing;
    }
}

/// Adds bytes to an end, of which only the last [`RETAINED_BYTES`] are needed.
fn extend_end(end: &mut Vec<u8>, bytes: &[u8]) {
    if end.len() + bytes.len() > 2 * RETAINED_BYTES {
        let keep = RETAINED_BYTES.saturating_sub(bytes.len());
        end.drain(..end.len().saturating_sub(keep));
    }
    end.extend_from_slice(last_bytes(bytes));
}

/// The last [`RETAINED_BYTES`] of `bytes`.
fn last_bytes(bytes: &[u8]) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(RETAINED_BYTES)..).unwrap_or_default()
}

/// The bytes before `at`, the byte at `at`, and the bytes after it.
fn split_around(bytes: &[u8], at: usize) -> Option<(&[u8], u8, &[u8])> {
    let (before, from) = bytes.split_at_checked(at)?;
    let (byte, after) = from.split_first()?;
    Some((before, *byte, after))
}

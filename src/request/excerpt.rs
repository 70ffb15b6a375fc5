//! An excerpt of a JSON body: a long body without the middle parts of its long strings.
//!
//! A long body stays outside of Wasm, where it was read. This saves a copy. It also bounds memory:
//! Wasm memory never shrinks, so a few bodies of several megabytes at once would make an isolate
//! large for the rest of its life. The body is read one window at a time. Nearly all of it is text
//! inside strings, which the gateway does not read, so the excerpt is short.
//!
//! Invariants:
//! - the excerpt of a JSON object is a JSON object with the same members; the excerpt of anything
//!   else is not a JSON object either;
//! - every shortened string contains [`LEFT_OUT`] as an escape that the gateway never writes, so it
//!   equals no value of the gateway;
//! - no JSON token begins or ends inside the omitted text, so [`Excerpt::original`] is exact for
//!   all tokens.

use std::ops::Range;

use crate::scan::plain::{TOP, plain};
use crate::scan::top_level;

/// Text longer than this in one window is shortened.
const LONGEST: usize = 512;
/// The bytes that remain of shortened text, before the [`LEFT_OUT`] mark.
const SHOWN: usize = 64;
/// The character that marks omitted text. It is a Unicode noncharacter, and no name contains it.
pub const LEFT_OUT: char = '\u{ffff}';
/// [`LEFT_OUT`] as an escape. serde_json would write the character itself.
const MARK: &[u8] = br"\uffff";

/// An excerpt of at least this many bytes, and of at least a sixteenth of the body, is abandoned if
/// it is longer than half of the bytes read so far: then it costs more than it saves.
const LARGE: usize = 32 * 1024;

/// Most bytes of one character in UTF-8.
const CHARACTER: usize = 4;

/// A body, or an excerpt of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    text: Vec<u8>,
    gaps: Vec<Gap>,
}

/// A place where something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    /// Where the excerpt continues, as an offset in the excerpt.
    at: usize,
    /// How far the original is ahead of the excerpt from there on.
    ahead: usize,
}

/// A whole body, with nothing left out.
impl From<Vec<u8>> for Excerpt {
    fn from(text: Vec<u8>) -> Self {
        Self { text, gaps: Vec::new() }
    }
}

impl Excerpt {
    /// Makes an excerpt of a body of `length` bytes. `show` returns the bytes between two offsets,
    /// at most `window` of them. A window must be large enough for one character. `None` if the
    /// body is not UTF-8, or if the excerpt would not be much shorter.
    pub fn read<B: AsRef<[u8]>>(
        length: usize,
        window: usize,
        show: impl Fn(usize, usize) -> B,
    ) -> Option<Self> {
        let mut reader = Reader::default();
        let mut at = 0;
        while at < length {
            let end = length.min(at + window);
            let shown = show(at, end);
            let shown = shown.as_ref();
            let whole = if end < length { whole_characters(shown) } else { shown.len() };
            reader.read(shown.get(..whole).filter(|shown| !shown.is_empty())?)?;
            at += whole;
            let text_length = reader.excerpt.text.len();
            if text_length >= LARGE.max(length / 16) && text_length > at / 2 {
                return None;
            }
        }
        Some(reader.excerpt)
    }

    /// The bytes of the excerpt.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where an offset of the excerpt is in the body. The offset must be the start or the end of a
    /// token.
    pub fn original(&self, at: usize) -> usize {
        let gaps = self.gaps.partition_point(|gap| gap.at <= at);
        at + gaps.checked_sub(1).and_then(|last| self.gaps.get(last)).map_or(0, |gap| gap.ahead)
    }

    /// Whether something is left out in a span of the excerpt.
    pub fn is_shortened(&self, span: &Range<usize>) -> bool {
        let first = self.gaps.partition_point(|gap| gap.at <= span.start);
        self.gaps.get(first).is_some_and(|gap| gap.at <= span.end)
    }
}

#[derive(Debug, Default)]
struct Reader {
    excerpt: Excerpt,
    state: TokenState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum TokenState {
    #[default]
    Structure,
    String,
    /// The next byte belongs to the backslash before it.
    Escape,
}

impl Reader {
    /// Reads a window of whole characters. `None` if it is not UTF-8.
    fn read(&mut self, window: &[u8]) -> Option<()> {
        let (mut at, mut taken, mut seen) = (0, 0, 0);
        while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty()) {
            match self.state {
                TokenState::Structure => {
                    let quote = rest.iter().position(|byte| *byte == b'"');
                    at += quote.map_or(rest.len(), |quote| quote + 1);
                    self.state = if quote.is_some() { TokenState::String } else { TokenState::Structure };
                }
                TokenState::Escape => {
                    at += 1;
                    self.state = TokenState::String;
                }
                TokenState::String => {
                    let (length, shown) = stretch(rest, &mut seen);
                    if length > LONGEST {
                        self.leave_out(window.get(taken..at + shown)?, length - shown);
                        taken = at + length;
                    }
                    at += length + 1;
                    self.state = match rest.get(length) {
                        Some(b'"') => TokenState::Structure,
                        Some(b'\\') => TokenState::Escape,
                        _ => TokenState::String,
                    };
                }
            }
        }
        self.excerpt.text.extend_from_slice(window.get(taken..)?);
        (seen & TOP == 0 || std::str::from_utf8(window).is_ok()).then_some(())
    }

    /// Copies `taken`, and leaves out the `length` bytes after it.
    fn leave_out(&mut self, taken: &[u8], length: usize) {
        let Excerpt { text, gaps } = &mut self.excerpt;
        text.extend_from_slice(taken);
        text.extend_from_slice(MARK);
        let before = gaps.last().map_or(0, |gap| gap.ahead);
        gaps.push(Gap { at: text.len(), ahead: before + length - MARK.len() });
    }
}

/// How far the inside of a string continues in a window without anything that needs a closer look:
/// plain text, and complete escapes of whole characters. Also how many of those bytes to show if
/// the text is too long: whole characters, including the digits of an escape that began in the
/// window before.
fn stretch(text: &[u8], seen: &mut u64) -> (usize, usize) {
    let mut length = plain(text, seen).unwrap_or(text.len());
    let shown = text.get(..length.min(SHOWN)).map_or(0, whole_characters);
    while let Some(rest) = text.get(length..).and_then(escaped) {
        length = text.len() - rest.len();
        length += plain(rest, seen).unwrap_or(rest.len());
    }
    (length, shown)
}

/// The text after the escape that `text` begins with. `None` for half a surrogate pair: names must
/// not contain one, so these escapes have to stay visible.
fn escaped(text: &[u8]) -> Option<&[u8]> {
    let escape = text.strip_prefix(b"\\")?;
    let is_half = matches!(escape, [b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
    if is_half { None } else { top_level::escape(escape) }
}

/// The number of bytes without an incomplete character at their end. Bytes that are not UTF-8 may
/// be cut anywhere.
fn whole_characters(bytes: &[u8]) -> usize {
    let begins = |byte: u8| byte & 0b1100_0000 != 0b1000_0000;
    let tail = bytes.iter().rev().take(CHARACTER).position(|byte| begins(*byte)).unwrap_or_default() + 1;
    let needed = match bytes.len().checked_sub(tail).and_then(|at| bytes.get(at)) {
        Some(0b1100_0000..=0b1101_1111) => 2,
        Some(0b1110_0000..=0b1110_1111) => 3,
        Some(0b1111_0000..) => CHARACTER,
        _ => 1,
    };
    if needed > tail { bytes.len() - tail } else { bytes.len() }
}

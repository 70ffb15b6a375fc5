//! What is looked at of a JSON body: of a long one everything but the middles of its long texts.
//!
//! A long body stays where it was read, outside of Wasm: the memory of Wasm never shrinks, so that a few bodies of megabytes at once
//! would keep an isolate large for as long as it lives, and it saves a copy. It is shown a window at a time, and since nearly all of
//! it is text inside of strings, which nobody here looks into, little is left to keep.
//!
//! Invariants:
//! - the excerpt of a JSON object is one, with the same members; of what is none, the excerpt is none either;
//! - in every string that is shortened stands [`LEFT_OUT`], as an escape that we never write: so it equals no value of ours;
//! - no token of JSON begins or ends inside of what is left out: [`Excerpt::original`] is exact for all of them.

use std::ops::Range;

use crate::scan::plain::{TOP, plain};
use crate::scan::top_level;

/// A longer stretch of text in one window is shortened…
const LONGEST: usize = 512;
/// …to its first bytes…
const SHOWN: usize = 64;
/// …and this character, which stands for nothing, and is in no name that anybody gives…
pub const LEFT_OUT: char = '\u{ffff}';
/// …as an escape: serde_json writes the character itself.
const MARK: &[u8] = br"\uffff";

/// An excerpt of so many bytes, and of a sixteenth of the body, is given up if it is more than half of what was shown: it costs more
/// than it saves.
const LARGE: usize = 32 * 1024;

/// Most bytes of a character in UTF-8.
const CHARACTER: usize = 4;

/// A body, or an excerpt of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    text: Vec<u8>,
    gaps: Vec<Gap>,
}

/// Something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    /// Where the excerpt goes on, in it.
    at: usize,
    /// By how much the original is ahead there.
    ahead: usize,
}

/// All of a body.
impl From<Vec<u8>> for Excerpt {
    fn from(text: Vec<u8>) -> Self {
        Self { text, gaps: Vec::new() }
    }
}

impl Excerpt {
    /// An excerpt of a body of so many bytes. `show` gives those from one place to another, at most `window` of them, which has to be
    /// enough for a character. `None` where the body is not UTF-8, or where the excerpt would not be much shorter.
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

    /// What there is of it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where in the body a place of the excerpt is: the begin or the end of a token.
    pub fn original(&self, at: usize) -> usize {
        let gaps = self.gaps.partition_point(|gap| gap.at <= at);
        at + gaps.checked_sub(1).and_then(|last| self.gaps.get(last)).map_or(0, |gap| gap.ahead)
    }

    /// Whether something is left out in a stretch of the excerpt.
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
    /// Goes on with whole characters. `None` where they are none.
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

    /// Takes these bytes, and leaves out so many after them.
    fn leave_out(&mut self, taken: &[u8], length: usize) {
        let Excerpt { text, gaps } = &mut self.excerpt;
        text.extend_from_slice(taken);
        text.extend_from_slice(MARK);
        let before = gaps.last().map_or(0, |gap| gap.ahead);
        gaps.push(Gap { at: text.len(), ahead: before + length - MARK.len() });
    }
}

/// How far the inside of a string goes on, in a window, without anything that has to be looked at: plain text, and escapes that stand
/// whole in it and are characters by themselves. And how much of that is shown where it is too long: whole characters, among them the
/// digits of an escape that began before the window.
fn stretch(text: &[u8], seen: &mut u64) -> (usize, usize) {
    let mut length = plain(text, seen).unwrap_or(text.len());
    let shown = text.get(..length.min(SHOWN)).map_or(0, whole_characters);
    while let Some(rest) = text.get(length..).and_then(escaped) {
        length = text.len() - rest.len();
        length += plain(rest, seen).unwrap_or(rest.len());
    }
    (length, shown)
}

/// What stands behind the escape that `text` begins with. Not of half a character, which names may not have: those are to be seen.
fn escaped(text: &[u8]) -> Option<&[u8]> {
    let escape = text.strip_prefix(b"\\")?;
    let is_half = matches!(escape, [b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
    if is_half { None } else { top_level::escape(escape) }
}

/// How many of the bytes are left without a character at their end of which some is missing. What is no UTF-8 may be cut anywhere.
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

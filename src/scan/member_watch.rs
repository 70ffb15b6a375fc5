//! Counts the top-level members of one name in a JSON body that arrives in pieces.
//!
//! A body that is too large to keep flows through the gateway. Its beginning was read, and an
//! upstream reads all of it. So what the beginning says must still hold at the end: [`MemberWatch`]
//! sees a second member of the same name before that piece is passed on.
//!
//! Invariants:
//! - of a JSON object it counts the same members as [`super::top_level::members`] finds, however
//!   the body is cut;
//! - it refuses what a tolerant parser could read in another way: text after the object, brackets
//!   that do not match, names without quotes, comments;
//! - it does not check numbers, escapes and UTF-8. They cannot change where a member begins.

use super::plain::plain;
use super::top_level::OpenContainers;

/// The text is not one JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOneObject;

/// What is known of the body so far.
#[derive(Debug)]
pub struct MemberWatch {
    name: &'static str,
    count: usize,
    state: MemberState,
    open: OpenContainers,
    /// The current name at the top level, without its quotes, as far as it can be the wanted one.
    key: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemberState {
    /// Before the object.
    Start,
    /// A name, or the end of an object.
    Key,
    Colon,
    /// A value, or the end of a list.
    Value,
    /// In a number, `true`, `false` or `null`.
    Literal,
    /// After a value.
    Next,
    /// In a string. The next byte may belong to the backslash before it.
    Text {
        is_key: bool,
        is_escaped: bool,
    },
    /// After the object.
    End,
}

impl MemberWatch {
    /// Watches for members with this name.
    pub fn new(name: &'static str) -> Self {
        Self { name, count: 0, state: MemberState::Start, open: OpenContainers::default(), key: Vec::new() }
    }

    /// How many members of that name have begun.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether the object is complete.
    pub fn is_complete(&self) -> bool {
        self.state == MemberState::End
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// The body is not one JSON object.
    pub fn read(&mut self, mut piece: &[u8]) -> Result<(), NotOneObject> {
        while let Some((first, rest)) = piece.split_first() {
            piece = if let MemberState::Text { is_key, is_escaped } = self.state {
                self.text(piece, is_key, is_escaped)?
            } else {
                self.state = self.structure(*first).ok_or(NotOneObject)?;
                rest
            };
        }
        Ok(())
    }

    /// Reads a string from `piece`, to its end or to its next escape. Returns the rest.
    fn text<'a>(
        &mut self,
        piece: &'a [u8],
        is_key: bool,
        is_escaped: bool,
    ) -> Result<&'a [u8], NotOneObject> {
        let length = if is_escaped { 1 } else { plain(piece, &mut 0).unwrap_or(piece.len()) };
        let (text, rest) = piece.split_at_checked(length).unwrap_or((piece, &[]));
        if is_key {
            self.note(text);
        }
        self.state = MemberState::Text { is_key, is_escaped: false };
        match rest.split_first() {
            None => Ok(rest),
            Some(_) if is_escaped => Ok(rest),
            Some((b'"', rest)) => {
                self.state = if is_key { MemberState::Colon } else { MemberState::Next };
                self.count += usize::from(is_key && self.is_wanted());
                Ok(rest)
            }
            Some((b'\\', rest)) => {
                if is_key {
                    self.note(b"\\");
                }
                self.state = MemberState::Text { is_key, is_escaped: true };
                Ok(rest)
            }
            Some(_control) => Err(NotOneObject),
        }
    }

    /// Notes a part of a name at the top level. A name that is too long stays recognisable as such.
    fn note(&mut self, text: &[u8]) {
        // An escape has six bytes at most.
        let longest = 6 * self.name.len() + 1;
        if self.open.is_outermost() {
            let room = longest.saturating_sub(self.key.len());
            self.key.extend_from_slice(text.get(..room).unwrap_or(text));
        }
    }

    fn is_wanted(&self) -> bool {
        if !self.open.is_outermost() {
            return false;
        }
        if !self.key.contains(&b'\\') {
            return self.key == self.name.as_bytes();
        }
        let quoted = [b"\"", self.key.as_slice(), b"\""].concat();
        serde_json::from_slice::<String>(&quoted).is_ok_and(|name| name == self.name)
    }

    /// The state after a byte outside of strings.
    fn structure(&mut self, byte: u8) -> Option<MemberState> {
        let is_object = self.open.last();
        Some(match (self.state, byte) {
            (MemberState::Literal, b' ' | b'\n' | b'\r' | b'\t') => MemberState::Next,
            (state, b' ' | b'\n' | b'\r' | b'\t') => state,
            // A byte order mark is not JSON, but many parsers skip it.
            (MemberState::Start, 0xef | 0xbb | 0xbf) => MemberState::Start,
            (MemberState::Start | MemberState::Value, b'{') => {
                self.open.push(true);
                MemberState::Key
            }
            (MemberState::Value, b'[') => {
                self.open.push(false);
                MemberState::Value
            }
            (MemberState::Key, b'"') => {
                self.key.clear();
                MemberState::Text { is_key: true, is_escaped: false }
            }
            (MemberState::Value, b'"') => MemberState::Text { is_key: false, is_escaped: false },
            (MemberState::Next | MemberState::Literal, b',') if is_object? => MemberState::Key,
            (MemberState::Colon, b':') | (MemberState::Next | MemberState::Literal, b',') => {
                MemberState::Value
            }
            (MemberState::Key | MemberState::Next | MemberState::Literal, b'}') if is_object? => self.close(),
            (MemberState::Value | MemberState::Next | MemberState::Literal, b']') if !is_object? => {
                self.close()
            }
            (MemberState::Value | MemberState::Literal, b'0'..=b'9' | b'+' | b'-' | b'.' | b'E') => {
                MemberState::Literal
            }
            (MemberState::Value | MemberState::Literal, byte) if b"truefalsn".contains(&byte) => {
                MemberState::Literal
            }
            _ => return None,
        })
    }

    fn close(&mut self) -> MemberState {
        self.open.pop();
        if self.open.last().is_none() { MemberState::End } else { MemberState::Next }
    }
}

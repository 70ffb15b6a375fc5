//! Counts the parts named `model` in a form that arrives in pieces. See `scan::member_watch`: the
//! beginning of the form was read, and what it says must still hold at its end.
//!
//! It accepts the same forms as [`Form::of`](super::multipart::Form::of), however they are cut, but
//! for headers of a part that are too long, and lines in them that begin like a delimiter. It holds
//! these headers and one piece at most.

use memchr::memmem::{self, Finder};

use super::multipart::{FormError, part_name};

/// Longest headers of a part, and longest white space after a delimiter.
const LONGEST: usize = 16 * 1024;

/// What is known of the form so far.
#[derive(Debug)]
pub struct FormWatch {
    line: Finder<'static>,
    count: usize,
    state: FormState,
    /// Bytes that cannot be read before more arrive.
    pending: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormState {
    /// Before the first delimiter.
    Preamble,
    /// In the headers of a part. The pending bytes begin with the line end before them.
    Headers,
    /// In the value of a part. `needs_text`: a delimiter may not come at once, because the line end
    /// before it belongs to the headers.
    Value { needs_text: bool },
    /// After the last delimiter.
    End,
}

/// What follows the text of a delimiter.
enum After {
    Part { padding: usize },
    Close,
    Data,
    Unknown,
}

impl FormWatch {
    /// Watches a form with this boundary.
    pub fn new(boundary: &str) -> Self {
        let line = format!("\r\n--{boundary}");
        Self {
            line: Finder::new(line.as_bytes()).into_owned(),
            count: 0,
            state: FormState::Preamble,
            // Only the first delimiter may be at the start of the body.
            pending: b"\r\n".to_vec(),
        }
    }

    /// How many parts of that name have begun.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether the closing delimiter was read.
    pub fn is_complete(&self) -> bool {
        self.state == FormState::End
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// The form is not valid, or has a part with too long headers.
    pub fn read(&mut self, piece: &[u8]) -> Result<(), FormError> {
        if self.state == FormState::End {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(piece);
        let mut at = 0;
        while let Some(rest) = pending.get(at..) {
            match self.step(rest)? {
                Some(taken) => at += taken,
                None => break,
            }
        }
        if self.state != FormState::End {
            // A value is longer than what has to wait for more, so little is moved here.
            pending.drain(..at.min(pending.len()));
            self.pending = pending;
        }
        Ok(())
    }

    /// Reads one step. Returns how many bytes were read; `None` if more have to arrive first.
    fn step(&mut self, rest: &[u8]) -> Result<Option<usize>, FormError> {
        match self.state {
            FormState::End => Ok(None),
            FormState::Headers => self.headers(rest),
            FormState::Preamble => self.data(rest, false),
            FormState::Value { needs_text } => self.data(rest, needs_text),
        }
    }

    fn data(&mut self, rest: &[u8], needs_text: bool) -> Result<Option<usize>, FormError> {
        let line = self.line.needle().len();
        let Some(found) = self.line.find(rest) else {
            // The end may be the begin of a delimiter.
            let passed = rest.len().saturating_sub(line - 1);
            return Ok((passed > 0).then(|| self.pass(passed)));
        };
        let end = found + line;
        let after = after(rest.get(end..).unwrap_or_default());
        match after {
            After::Part { .. } | After::Close if found == 0 && needs_text => Err(FormError::Unterminated),
            After::Part { padding } => {
                self.state = FormState::Headers;
                Ok(Some(end + padding))
            }
            After::Close => {
                self.state = FormState::End;
                Ok(None)
            }
            After::Data => Ok(Some(self.pass(end))),
            After::Unknown if rest.len() > end + LONGEST => Err(FormError::HeadersTooLong),
            After::Unknown => Ok((found > 0).then(|| self.pass(found))),
        }
    }

    /// Passes text of the current value.
    fn pass(&mut self, length: usize) -> usize {
        if self.state != FormState::Preamble {
            self.state = FormState::Value { needs_text: false };
        }
        length
    }

    fn headers(&mut self, rest: &[u8]) -> Result<Option<usize>, FormError> {
        let Some(end) = memmem::find(rest, b"\r\n\r\n") else {
            return match rest.len() {
                ..LONGEST => Ok(None),
                _ => Err(FormError::HeadersTooLong),
            };
        };
        let headers = rest.get(..end + 2).unwrap_or_default();
        if headers.len() > LONGEST {
            return Err(FormError::HeadersTooLong);
        }
        if self.line.find(headers).is_some() {
            return Err(FormError::Unterminated);
        }
        self.count += usize::from(part_name(headers)?.as_deref() == Some("model"));
        // A part without headers shares its empty line with the delimiter after it.
        self.state = FormState::Value { needs_text: end > 0 };
        Ok(Some(end + 2))
    }
}

/// `rest`: the bytes after the text of a delimiter.
fn after(rest: &[u8]) -> After {
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match rest.get(padding..).unwrap_or_default() {
        [b'\r', b'\n', ..] => After::Part { padding },
        [b'-', b'-', ..] if padding == 0 => After::Close,
        [] | [b'\r'] => After::Unknown,
        [b'-'] if padding == 0 => After::Unknown,
        _ => After::Data,
    }
}

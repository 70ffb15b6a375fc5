//! An edited body, as ranges of the original and new bytes between them. The holder of the original
//! copies its bytes once, or not at all. So changing the model's name in a body of several
//! megabytes is cheap.

use std::ops::Range;

/// The pieces of an edited body, made from front to back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splice {
    pieces: Vec<Piece>,
    inserted: Vec<u8>,
}

/// A piece of an edited body; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A range of the original. The next piece of the original does not begin where this one ends.
    Original(Range<usize>),
    /// A range of the new bytes.
    Inserted(Range<usize>),
}

impl Splice {
    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// All new bytes, one after the other.
    pub fn into_inserted(self) -> Vec<u8> {
        self.inserted
    }

    /// Appends a range of the original.
    pub fn keep(&mut self, span: Range<usize>) {
        match self.pieces.last_mut() {
            _ if span.is_empty() => {}
            Some(Piece::Original(last)) if last.end == span.start => last.end = span.end,
            _ => self.pieces.push(Piece::Original(span)),
        }
    }

    /// Appends new bytes.
    pub fn insert(&mut self, bytes: &[u8]) {
        let start = self.inserted.len();
        self.inserted.extend_from_slice(bytes);
        let end = self.inserted.len();
        match self.pieces.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Inserted(last)) => last.end = end,
            _ => self.pieces.push(Piece::Inserted(start..end)),
        }
    }

    /// The same edit for another body: an offset of the original becomes `place(offset)`. `place`
    /// must not change the order of offsets.
    #[must_use]
    pub fn moved(mut self, place: impl Fn(usize) -> usize) -> Self {
        for piece in &mut self.pieces {
            if let Piece::Original(span) = piece {
                *span = place(span.start)..place(span.end);
            }
        }
        self
    }

    /// The edited body. Its ranges must come from this `original`; with another body they yield
    /// nothing instead of a panic.
    pub fn apply(&self, original: &[u8]) -> Vec<u8> {
        let parts = self.pieces.iter().map(|piece| match piece {
            Piece::Original(span) => original.get(span.clone()).unwrap_or_default(),
            Piece::Inserted(span) => self.inserted.get(span.clone()).unwrap_or_default(),
        });
        parts.collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, Splice};

    #[test]
    fn adjacent_ranges_become_one_piece() {
        let mut splice = Splice::default();
        splice.keep(0..1);
        splice.keep(1..3);
        splice.insert(b"");
        splice.insert(b"x");
        splice.insert(b"y");
        splice.keep(3..3);
        splice.keep(4..6);
        assert_eq!(splice.pieces(), [Piece::Original(0..3), Piece::Inserted(0..2), Piece::Original(4..6)]);
        assert_eq!(splice.apply(b"012345"), b"012xy45");
    }
}

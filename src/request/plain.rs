//! How far a text in JSON goes on without anything that a scanner has to look at: nearly all bytes of a large body are skipped here.
//!
//! Eight bytes are tested at a time as one number, 32 with one branch. A loop over bytes would be for the compiler to vectorise, and at
//! `opt-level = "s"`, which keeps the Wasm small, it vectorises nothing.

/// One in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// The highest bit of each byte, which no ASCII has.
pub const TOP: u64 = ONES << 7;

/// How many bytes of `text` come before the first quote, backslash or control character; `None` where there is none of them. All bytes up to
/// there, and some beyond, are added to `seen`, as numbers one over the other: if none of [`TOP`] is set in it, they are ASCII.
// As a call it cost a fifth more in Wasm where strings are short.
#[inline]
pub fn plain(text: &[u8], seen: &mut u64) -> Option<usize> {
    let (words, _) = text.as_chunks::<8>();
    let mut words = words.iter();
    let mut length = 0;
    // Most strings are short; for them a block would be more work than two words.
    for word in words.by_ref().take(2) {
        if let Some(found) = special(u64::from_le_bytes(*word), seen) {
            return Some(length + found);
        }
        length += size_of_val(word);
    }
    let (blocks, _) = words.as_slice().as_chunks::<4>();
    for block in blocks {
        let mut marks = 0;
        for word in block {
            marks |= marks_of(u64::from_le_bytes(*word));
            *seen |= u64::from_le_bytes(*word);
        }
        if marks & TOP != 0 {
            break;
        }
        length += size_of_val(block);
    }
    let (words, tail) = text.get(length..)?.as_chunks::<8>();
    for word in words {
        if let Some(found) = special(u64::from_le_bytes(*word), seen) {
            return Some(length + found);
        }
        length += size_of_val(word);
    }
    let found = tail.iter().position(|byte| {
        *seen |= u64::from(*byte);
        matches!(byte, b'"' | b'\\' | ..0x20)
    });
    found.map(|found| length + found)
}

/// Where in the word the first quote, backslash or control character is.
#[inline]
fn special(word: u64, seen: &mut u64) -> Option<usize> {
    *seen |= word;
    let marks = marks_of(word) & TOP;
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character. Other bytes may get it too, but only above such a
/// one, which the subtraction borrowed for. The other bits mean nothing.
#[inline]
fn marks_of(word: u64) -> u64 {
    // This makes a space of the quote, and leaves control characters what they are.
    let up_to_space = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (up_to_space | backslash) & !word
}

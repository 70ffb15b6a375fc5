//! Finds the bytes of a JSON string that need a closer look. Nearly all bytes of a large body are
//! skipped here.
//!
//! In Wasm, vector instructions test 64 bytes with one branch; every workerd has them. Elsewhere 32
//! bytes are tested, eight at a time as one number. The compiler cannot vectorise a plain loop over
//! bytes, because the loop ends at a byte that it finds.

/// A 1 in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// The highest bit of each byte. It is never set in ASCII.
pub const TOP: u64 = ONES << 7;

/// The number of bytes of `text` before the first quote, backslash or control character; `None` if
/// there is none. All bytes up to there, and some after it, are combined into `seen` by a bitwise
/// or of eight-byte numbers. If no bit of [`TOP`] is set in `seen`, they are ASCII.
///
/// It is inlined, because a call costs a fifth more in Wasm where strings are short.
#[inline]
pub fn plain(text: &[u8], seen: &mut u64) -> Option<usize> {
    let (words, _) = text.as_chunks::<8>();
    let mut length = 0;
    // Most strings are short; for them a block would cost more than two words.
    for word in words.iter().take(2) {
        if let Some(found) = special(u64::from_le_bytes(*word), seen) {
            return Some(length + found);
        }
        length += size_of_val(word);
    }
    length += blocks(text.get(length..)?, seen);
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

/// The length of the whole blocks at the start of `text` without a quote, backslash or control
/// character.
#[cfg(not(target_feature = "simd128"))]
fn blocks(text: &[u8], seen: &mut u64) -> usize {
    let (blocks, _) = text.as_chunks::<32>();
    let mut length = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        let mut marks = 0;
        for word in words {
            marks |= marks_of(u64::from_le_bytes(*word));
            *seen |= u64::from_le_bytes(*word);
        }
        if marks & TOP != 0 {
            break;
        }
        length += size_of_val(block);
    }
    length
}

/// The same in Wasm, with instructions for 16 bytes at a time.
#[cfg(target_feature = "simd128")]
fn blocks(text: &[u8], seen: &mut u64) -> usize {
    use std::arch::wasm32::{
        u8x16_le, u8x16_min, u8x16_splat, u64x2, u64x2_extract_lane, v128, v128_any_true, v128_or, v128_xor,
    };
    #[expect(clippy::cast_possible_truncation, reason = "only the lower half is wanted")]
    let vector = |bytes: &[u8; 16]| -> v128 {
        let number = u128::from_le_bytes(*bytes);
        u64x2(number as u64, (number >> 64) as u64)
    };
    let (chunks, _) = text.as_chunks::<16>();
    let (blocks, _) = chunks.as_chunks::<4>();
    let mut length = 0;
    let mut all = u8x16_splat(0);
    for [a, b, c, d] in blocks {
        let [a, b, c, d] = [vector(a), vector(b), vector(c), vector(d)];
        all = v128_or(all, v128_or(v128_or(a, b), v128_or(c, d)));
        let least = |mask| {
            let (a, b) = (v128_xor(a, mask), v128_xor(b, mask));
            let (c, d) = (v128_xor(c, mask), v128_xor(d, mask));
            u8x16_min(u8x16_min(a, b), u8x16_min(c, d))
        };
        // As in [`marks_of`]: a quote becomes a space, and a backslash becomes 0, the least byte.
        let (up_to_space, backslash) = (least(u8x16_splat(0x02)), least(u8x16_splat(b'\\')));
        if v128_any_true(v128_or(
            u8x16_le(up_to_space, u8x16_splat(b' ')),
            u8x16_le(backslash, u8x16_splat(0)),
        )) {
            break;
        }
        length += 64;
    }
    *seen |= u64x2_extract_lane::<0>(all) | u64x2_extract_lane::<1>(all);
    length
}

/// The position of the first quote, backslash or control character in the word.
#[inline]
fn special(word: u64, seen: &mut u64) -> Option<usize> {
    *seen |= word;
    let marks = marks_of(word) & TOP;
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character. It may
/// also set that bit in bytes above such a byte, because the subtraction borrows from them. The
/// other bits have no meaning.
#[inline]
fn marks_of(word: u64) -> u64 {
    // This turns a quote into a space; control characters stay control characters.
    let up_to_space = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (up_to_space | backslash) & !word
}

//! How far a text in JSON goes on without anything that a scanner has to look at: nearly all bytes of a large body are skipped here.
//!
//! In Wasm 64 bytes are tested with one branch, by its instructions for vectors, which every workerd has; elsewhere 32, eight at a time
//! as one number. A loop over bytes would be for the compiler to vectorise, and it cannot where the loop ends at a byte that it finds.

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
    let mut length = 0;
    // Most strings are short; for them a block would be more work than two words.
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

/// The length of the whole blocks at the start of `text` in which there is none of those bytes.
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

/// The same in Wasm, with its instructions for 16 bytes at a time.
#[cfg(target_feature = "simd128")]
fn blocks(text: &[u8], seen: &mut u64) -> usize {
    use std::arch::wasm32::{
        u8x16_le, u8x16_min, u8x16_splat, u64x2, u64x2_extract_lane, v128, v128_any_true, v128_or, v128_xor,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
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
        // As in [`marks_of`]: a quote becomes a space, and a backslash the least byte that there is.
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

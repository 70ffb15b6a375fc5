//! The form of issued keys: `sk-sy-`, and 48 characters (base64url) of 32 random bytes and a
//! checksum of four bytes.
//!
//! The checksum is no secret. It spares reads for what is misspelt, cut off or guessed at random.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What an issued key begins with.
pub const PREFIX: &str = "sk-sy-";
/// How many characters of a key are shown in lists. Four of them are random.
const SHOWN_CHARS: usize = PREFIX.len() + 4;
const SECRET_BYTES: usize = 32;
const CHECK_BYTES: usize = 4;
const BYTES: usize = SECRET_BYTES + CHECK_BYTES;
/// What the name of a record in the store begins with.
const STORE_PREFIX: &str = "key:";

/// The key of these random bytes.
pub fn make(secret: [u8; SECRET_BYTES]) -> String {
    let bytes: Vec<u8> = secret.into_iter().chain(checksum(&secret)).collect();
    [PREFIX, &Base64UrlUnpadded::encode_string(&bytes)].concat()
}

/// Whether a text has the form of an issued key, and its checksum is right.
pub fn is_issued(key: &str) -> bool {
    let Some(encoded) = key.strip_prefix(PREFIX) else { return false };
    let mut bytes = [0; BYTES];
    let decoded = Base64UrlUnpadded::decode(encoded, &mut bytes);
    // 48 characters are 36 bytes, so there is one text for each key.
    match decoded
        .ok()
        .filter(|bytes| bytes.len() == BYTES)
        .and_then(|bytes| bytes.split_at_checked(SECRET_BYTES))
    {
        Some((secret, check)) => checksum(secret).eq(check.iter().copied()),
        None => false,
    }
}

fn checksum(secret: &[u8]) -> impl Iterator<Item = u8> {
    Sha256::digest(secret).into_iter().take(CHECK_BYTES)
}

/// The first characters of a key, by which people know it again.
pub fn shown(key: &str) -> &str {
    key.get(..SHOWN_CHARS).filter(|_| key.len() > 2 * SHOWN_CHARS).unwrap_or_default()
}

/// The SHA-256 of a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_read = hex.len() == 64 && read_hex(hex.as_bytes(), &mut bytes);
        is_read.then_some(Self(bytes))
    }

    /// 64 hexadecimal digits, in lower case, as LiteLLM writes them too.
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| DIGITS.get(usize::from(value)).copied().map(char::from);
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
    }

    /// The name of the record in the store.
    pub fn store_name(&self) -> String {
        [STORE_PREFIX, &self.hex()].concat()
    }

    /// Its first bits. Others may have the same.
    pub fn short(&self) -> u64 {
        self.0.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

/// Compared in constant time.
impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

fn read_hex(digits: &[u8], bytes: &mut [u8]) -> bool {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).zip(bytes).all(|(pair, byte)| match pair {
        [high, low] => value(*high).zip(value(*low)).is_some_and(|(high, low)| {
            *byte = high << 4 | low;
            true
        }),
        _ => false,
    })
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_has_one_form_and_any_change_shows() {
        let key = make([7; 32]);
        assert_eq!(key.len(), 54);
        assert!(is_issued(&key), "{key}");
        assert_eq!(shown(&key), "sk-sy-BwcH");
        for (what, text) in [
            ("nothing", String::new()),
            ("the prefix alone", PREFIX.to_owned()),
            ("cut off", key[..53].to_owned()),
            ("longer", format!("{key}A")),
            ("padded", format!("{key}=")),
            ("with a space", format!("{key} ")),
            ("another prefix", key.replacen("sk-sy-", "sk-xy-", 1)),
            ("another alphabet", format!("{PREFIX}{}", "+".repeat(48))),
            ("beyond ASCII", format!("{PREFIX}{}", "é".repeat(24))),
            ("a key of somebody else", "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz0123456789".to_owned()),
            ("much longer", PREFIX.to_owned() + &"A".repeat(10_000)),
        ] {
            assert!(!is_issued(&text), "{what}");
        }
        for place in PREFIX.len()..key.len() {
            let other = if key.as_bytes()[place] == b'A' { "B" } else { "A" };
            let changed = [&key[..place], other, &key[place + 1..]].concat();
            assert!(!is_issued(&changed), "{place}");
        }
    }

    #[test]
    fn of_a_short_key_nothing_is_shown() {
        for (key, expected) in
            [("sk-1234", ""), ("sk-0123456789abcdefg", ""), ("sk-0123456789abcdefgh", "sk-0123456")]
        {
            assert_eq!(shown(key), expected);
        }
        assert_eq!(shown(&"é".repeat(30)), "ééééé");
    }

    #[test]
    fn the_hash_is_sha_256_as_litellm_stores_it() {
        let hash = KeyHash::of("sk-1234");
        assert_eq!(hash.hex(), "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b");
        assert_eq!(hash.store_name(), format!("key:{}", hash.hex()));
        assert_eq!(hash.short(), 0x88dc_28d0_f030_c55e);
        assert_eq!(KeyHash::parse(&hash.hex().to_uppercase()), Some(hash));
        for text in ["", "88", &hash.hex()[1..], &format!("{}g", &hash.hex()[1..]), &"é".repeat(32)] {
            assert_eq!(KeyHash::parse(text), None, "{text}");
        }
        assert_ne!(hash, KeyHash::of("sk-1235"));
    }

    proptest! {
        #[test]
        fn each_secret_has_its_key(secret: [u8; 32], text in ".{0,60}") {
            let key = make(secret);
            prop_assert!(is_issued(&key));
            prop_assert_eq!(KeyHash::parse(&KeyHash::of(&key).hex()), Some(KeyHash::of(&key)));
            prop_assert!(!is_issued(&text));
            prop_assert!(!is_issued(&[PREFIX, &text].concat()));
        }
    }
}

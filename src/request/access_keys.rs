//! The public keys of a team of Cloudflare Access, as an isolate holds them.
//!
//! Access signs with a new key every six weeks, and the address of the keys has the new one and the
//! one before.

use serde_json::Value;

use crate::vocabulary::access_fault::AccessFault;
use crate::vocabulary::time::{Instant, Millis};

/// How long keys are used after they were read.
const FRESH_MS: Millis = Millis::new(3_600_000);
/// How long after a read another one may begin for a key that is not known, or after a failure.
const PAUSE_MS: Millis = Millis::new(60_000);
/// The most keys. Access has two.
const MOST_KEYS: usize = 16;

/// The keys of a team.
#[derive(Debug, Clone, Default)]
pub struct AccessKeys {
    /// The address that they come from.
    url: String,
    keys: Vec<AccessKey>,
    loaded_at: Option<Instant>,
    /// When a read began because a key was not known.
    asked_at: Option<Instant>,
    failed_at: Option<Instant>,
}

/// A public RSA key for RS256. The numbers are in base64, as in a JWK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    id: String,
    /// The modulus, `n`.
    pub modulus: String,
    /// The exponent, `e`.
    pub exponent: String,
}

/// How a key is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyLookup {
    /// The key.
    Known(AccessKey),
    /// The keys must be read first.
    Read,
}

impl AccessKeys {
    /// Looks for the key with this id, of the keys at this address.
    ///
    /// # Errors
    /// There is no such key, or the keys cannot be read, and it is too early to read them again.
    pub fn find(&mut self, url: &str, id: &str, now: Instant) -> Result<KeyLookup, AccessFault> {
        if self.url != url {
            *self = Self { url: url.to_owned(), ..Self::default() };
        }
        let is_within =
            |since: Option<Instant>, length: Millis| since.is_some_and(|since| now < since + length);
        if !is_within(self.loaded_at, FRESH_MS) {
            let fault = AccessFault::KeysUnavailable;
            return if is_within(self.failed_at, PAUSE_MS) { Err(fault) } else { Ok(KeyLookup::Read) };
        }
        if let Some(key) = self.keys.iter().find(|known| known.id == id) {
            return Ok(KeyLookup::Known(key.clone()));
        }
        let latest = self.loaded_at.max(self.asked_at);
        if is_within(latest, PAUSE_MS) {
            return Err(AccessFault::UnknownKey);
        }
        self.asked_at = Some(now);
        Ok(KeyLookup::Read)
    }

    /// Takes the answer of the address; an empty one if there was none. Returns whether it has
    /// keys. Without keys, those from before are used on while they are fresh.
    pub fn take(&mut self, answer: &str, now: Instant) -> bool {
        let answer: Option<Value> = serde_json::from_str(answer).ok();
        let mut keys = Vec::new();
        if let Some(Value::Array(listed)) = answer.as_ref().and_then(|answer| answer.get("keys")) {
            keys.extend(listed.iter().take(MOST_KEYS).filter_map(AccessKey::of));
        }
        if keys.is_empty() {
            self.failed_at = Some(now);
            return false;
        }
        (self.keys, self.loaded_at, self.failed_at) = (keys, Some(now), None);
        true
    }
}

impl AccessKey {
    fn of(jwk: &Value) -> Option<Self> {
        // Not inlined, as it is used for each member.
        #[inline(never)]
        fn text(jwk: &Value, name: &str) -> Option<String> {
            jwk.get(name)?.as_str().map(str::to_owned)
        }
        if text(jwk, "kty")? != "RSA" || text(jwk, "alg").is_some_and(|alg| alg != "RS256") {
            return None;
        }
        Some(Self { id: text(jwk, "kid")?, modulus: text(jwk, "n")?, exponent: text(jwk, "e")? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::vocabulary::time::short::{at, ms};

    const URL: &str = "https://team.cloudflareaccess.com/cdn-cgi/access/certs";

    fn certs(ids: &[&str]) -> String {
        let keys: Vec<_> = ids
            .iter()
            .map(|id| json!({"kid": id, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": format!("n-{id}")}))
            .collect();
        json!({"keys": keys, "public_cert": {}}).to_string()
    }

    fn known(id: &str) -> KeyLookup {
        let (id, modulus, exponent) = (id.to_owned(), format!("n-{id}"), "AQAB".to_owned());
        KeyLookup::Known(AccessKey { id, modulus, exponent })
    }

    #[test]
    fn keys_are_read_when_they_are_first_needed_and_used_for_an_hour() {
        let mut keys = AccessKeys::default();
        let start = at(1_000_000);
        assert_eq!(keys.find(URL, "k1", start), Ok(KeyLookup::Read));
        assert_eq!(keys.find(URL, "k1", start), Ok(KeyLookup::Read), "each request until they are here");
        assert!(keys.take(&certs(&["k1", "k2"]), start));
        assert_eq!(keys.find(URL, "k2", start + ms(3_599_999)), Ok(known("k2")));
        assert_eq!(keys.find(URL, "k2", start + ms(3_600_000)), Ok(KeyLookup::Read));
    }

    #[test]
    fn an_unknown_key_reads_them_again_once_a_minute_at_most() {
        let mut keys = AccessKeys::default();
        let start = at(1_000_000);
        assert_eq!(keys.find(URL, "k1", start), Ok(KeyLookup::Read));
        keys.take(&certs(&["k1"]), start);
        let mut reads = 0;
        for second in 0..600 {
            let now = start + ms(second * 1_000);
            match keys.find(URL, &format!("guess-{second}"), now) {
                Ok(KeyLookup::Read) => {
                    reads += 1;
                    keys.take(&certs(&["k1"]), now);
                }
                other => assert_eq!(other, Err(AccessFault::UnknownKey)),
            }
            assert_eq!(keys.find(URL, "k1", now), Ok(known("k1")), "guesses do not touch what is known");
        }
        assert_eq!(reads, 9, "once a minute");
        // A read that has not ended yet counts, too.
        let now = start + ms(700_000);
        assert_eq!(keys.find(URL, "k2", now), Ok(KeyLookup::Read));
        assert_eq!(keys.find(URL, "k2", now), Err(AccessFault::UnknownKey));
        keys.take(&certs(&["k1", "k2"]), now);
        assert_eq!(keys.find(URL, "k2", now), Ok(known("k2")), "a key that is new");
    }

    #[test]
    fn a_failure_holds_the_next_read_for_a_minute_and_keeps_what_is_fresh() {
        let mut keys = AccessKeys::default();
        let start = at(1_000_000);
        assert_eq!(keys.find(URL, "k1", start), Ok(KeyLookup::Read));
        assert!(!keys.take("", start));
        assert_eq!(keys.find(URL, "k1", start + ms(59_999)), Err(AccessFault::KeysUnavailable));
        assert_eq!(keys.find(URL, "k1", start + ms(60_000)), Ok(KeyLookup::Read));
        keys.take(&certs(&["k1"]), start + ms(60_000));
        assert!(!keys.take("<html>", start + ms(60_000)));
        assert_eq!(keys.find(URL, "k1", start + ms(60_001)), Ok(known("k1")));
        assert_eq!(keys.find("https://other/certs", "k1", start + ms(60_001)), Ok(KeyLookup::Read));
    }

    #[test]
    fn only_rsa_keys_for_rs256_are_taken() {
        let mut keys = AccessKeys::default();
        let rest = |kty: &str, alg: Value| json!({"kid": "k", "kty": kty, "alg": alg, "n": "n", "e": "e"});
        for (key, expected) in [
            (rest("RSA", json!("RS256")), true),
            (rest("RSA", Value::Null), true),
            (rest("RSA", json!("HS256")), false),
            (rest("oct", json!("RS256")), false),
            (json!({"kid": "k", "kty": "RSA", "n": "n"}), false),
            (json!({"kty": "RSA", "n": "n", "e": "e"}), false),
            (json!("k"), false),
        ] {
            let answer = json!({"keys": [key]}).to_string();
            assert_eq!(keys.take(&answer, at(0)), expected, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in ".{0,60}", ids in prop::collection::vec(".{0,4}", 0..20)) {
            let mut keys = AccessKeys::default();
            keys.take(&text, at(0));
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            prop_assert_eq!(keys.take(&certs(&ids), at(0)), !ids.is_empty());
            prop_assert!(keys.keys.len() <= MOST_KEYS);
        }
    }
}

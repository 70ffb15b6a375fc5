//! Who is calling: the key of the request, and the client that it belongs to.

use subtle::ConstantTimeEq;

use crate::routes::graph::{Client, Graph, Secret};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::headers::Headers;

/// The key in `Authorization: Bearer KEY` (the scheme in any case, RFC 9110 §11.1), or in
/// `api-key`, as Azure's clients send it.
pub fn key<'h>(authorization: Option<&'h str>, api_key: Option<&'h str>) -> Option<&'h str> {
    let bearer = authorization.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
    });
    bearer.or(api_key).filter(|key| !key.is_empty())
}

/// The key in these headers.
pub fn key_of(headers: &Headers) -> Option<&str> {
    key(headers.get("authorization"), headers.get("api-key"))
}

/// The client with this key; the first one if several have it.
///
/// The time taken reveals nothing about a guess: each key's fingerprint is compared as one number,
/// and a key itself only if its fingerprint is equal, in constant time. Comparing every key in
/// constant time would be as safe, but costs half a millisecond per request with thousands of
/// clients.
///
/// # Errors
/// The document has no clients, the request has no key, or no client has this key.
pub fn client<'g>(graph: &'g Graph, key: Option<&str>) -> Result<&'g Client, ClientError> {
    let clients = graph.clients.as_ref().ok_or(ClientError::NoClients)?;
    let key = key.ok_or(ClientError::InvalidApiKey)?;
    let client_of = |key: &str| {
        let fingerprint = Secret::fingerprint_of(key);
        clients.iter().find(|client| {
            let known = client.key.as_ref();
            known.is_some_and(|known| known.fingerprint() == fingerprint && is_equal(known.reveal(), key))
        })
    };
    client_of(key).or_else(|| client_of(&from_latin1(key)?)).ok_or(ClientError::InvalidApiKey)
}

/// Whether a secret of a request is the known one. The time taken depends only on their lengths and
/// on which characters the given one has.
pub fn matches(known: &str, given: &str) -> bool {
    is_equal(known, given) || from_latin1(given).is_some_and(|given| is_equal(known, &given))
}

fn is_equal(known: &str, given: &str) -> bool {
    known.as_bytes().ct_eq(given.as_bytes()).into()
}

/// The text that was sent as UTF-8, if `value` is what a runtime made of it that reads each byte of
/// a header as one character (the Fetch standard). `None` if no character is beyond ASCII, or if it
/// was no UTF-8.
fn from_latin1(value: &str) -> Option<String> {
    if value.is_ascii() {
        return None;
    }
    let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
    String::from_utf8(bytes.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_as_a_bearer_token_or_as_azure_sends_it() {
        for (authorization, api_key, expected) in [
            (Some("Bearer k1"), None, Some("k1")),
            (Some("bearer  k1 "), None, Some("k1")),
            (None, Some("k2"), Some("k2")),
            (Some("Bearer k1"), Some("k2"), Some("k1")),
            // An SDK without a key of its own still sends the header.
            (Some("Bearer "), Some("k2"), Some("k2")),
            (Some("Basic k1"), None, None),
            (Some("Basic k1"), Some("k2"), Some("k2")),
            (Some("k1"), None, None),
            (None, Some(""), None),
            (Some("Bearer two words ü"), None, Some("two words ü")),
            (None, None, None),
        ] {
            assert_eq!(key(authorization, api_key), expected, "{authorization:?} {api_key:?}");
        }
    }

    #[test]
    fn only_the_whole_secret_matches() {
        assert!(matches("secret", "secret"));
        for other in ["secre", "secrets", "Secret", ""] {
            assert!(!matches("secret", other));
        }
    }

    #[test]
    fn a_secret_beyond_ascii_matches_however_the_runtime_reads_its_bytes() {
        for (known, given, expected) in [
            ("schlüssel 1", "schlüssel 1", true),
            ("schlüssel 1", "schl\u{c3}\u{bc}ssel 1", true),
            ("ключ", "\u{d0}\u{ba}\u{d0}\u{bb}\u{d1}\u{8e}\u{d1}\u{87}", true),
            ("schlüssel 1", "schlussel 1", false),
            ("ü", "\u{c3}", false),
            ("ü", "\u{fffd}", false),
        ] {
            assert_eq!(matches(known, given), expected, "{known} {given}");
        }
    }
}

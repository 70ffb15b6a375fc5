//! Who is calling: the key of the request, and the client that it belongs to.

use subtle::ConstantTimeEq;

use crate::routes::graph::{Client, Graph, Secret};
use crate::vocabulary::client_error::ClientError;

/// The key in `Authorization: Bearer KEY` (the scheme in any case, RFC 9110 §11.1), or in
/// `api-key`, as Azure's clients send it.
pub fn key<'h>(authorization: Option<&'h str>, api_key: Option<&'h str>) -> Option<&'h str> {
    let bearer = authorization.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
    });
    bearer.or(api_key).filter(|key| !key.is_empty())
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
    let fingerprint = Secret::fingerprint_of(key);
    let has_key = |client: &&Client| {
        let known = client.key.as_ref();
        known.is_some_and(|known| known.fingerprint() == fingerprint && matches(known.reveal(), key))
    };
    clients.iter().find(has_key).ok_or(ClientError::InvalidApiKey)
}

/// Whether two secrets are equal. The time taken depends only on their lengths.
pub fn matches(known: &str, given: &str) -> bool {
    known.as_bytes().ct_eq(given.as_bytes()).into()
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
}

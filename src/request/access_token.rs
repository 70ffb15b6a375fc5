//! The token of Cloudflare Access in the header `Cf-Access-Jwt-Assertion`: who has signed in, or
//! which service calls.
//!
//! Facts: "Application token" in the documentation of Cloudflare One,
//! <https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/>
//!
//! The claims are checked before the signature is. So a token that could not count in any case
//! costs neither a look for its key nor a verification.

use serde_json::Value;

use crate::vocabulary::access_fault::AccessFault;
use crate::vocabulary::time::{Instant, Millis};

/// The longest token that is read, in bytes.
const LONGEST: usize = 16 * 1024;
/// The longest name, in bytes: that of an email address (RFC 5321) with room to spare.
const LONGEST_NAME: usize = 400;
/// How much the clock of the signer may differ from ours.
const LEEWAY_MS: Millis = Millis::new(60_000);

/// The application of Cloudflare Access in front of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessApplication {
    /// The origin of the team, without a trailing slash. It is also the issuer of its tokens.
    pub team: String,
    /// The audiences of which a token must have one, with commas.
    audiences: String,
}

impl AccessApplication {
    /// The application of the variables `ACCESS_TEAM_DOMAIN` and `ACCESS_AUD`. `None` if one of
    /// them is missing, or if the domain is no origin with https (or http to 127.0.0.1).
    pub fn of(team_domain: &str, audiences: &str) -> Option<Self> {
        let team = team_domain.trim().trim_end_matches('/');
        let host = team.strip_prefix("https://").or_else(|| team.strip_prefix("http://127.0.0.1:"))?;
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
        let is_origin = !host.is_empty() && host.bytes().all(is_host) && listed(audiences).next().is_some();
        is_origin.then(|| Self { team: team.to_owned(), audiences: audiences.to_owned() })
    }

    /// The address of the keys.
    pub fn keys_url(&self) -> String {
        format!("{}/cdn-cgi/access/certs", self.team)
    }
}

/// A token whose claims are good, and whose signature is not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaim {
    /// The id of the key.
    pub key: String,
    /// What is signed.
    pub signed: String,
    /// The signature.
    pub signature: Vec<u8>,
    /// Who it is if the signature is good: an email address, or the name of a service token.
    pub name: String,
}

impl AccessClaim {
    /// Reads a token and checks its claims.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(token: &str, application: &AccessApplication, now: Instant) -> Result<Self, AccessFault> {
        let malformed = AccessFault::Malformed;
        let (signed, signature) =
            token.rsplit_once('.').filter(|_| token.len() <= LONGEST).ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        let (header, claims) = (object(header).ok_or(malformed)?, object(claims).ok_or(malformed)?);
        if text(&header, "alg") != Some("RS256") {
            return Err(AccessFault::Algorithm);
        }
        // A receiver that does not know a critical extension must refuse the token (RFC 7515).
        let key = text(&header, "kid").filter(|_| member(&header, "crit").is_none()).ok_or(malformed)?;
        let signature = decoded(signature).ok_or(malformed)?;
        if !text(&claims, "iss").is_some_and(|issuer| issuer.eq_ignore_ascii_case(&application.team)) {
            return Err(AccessFault::Issuer);
        }
        let is_ours = |audience: &Value| {
            audience
                .as_str()
                .is_some_and(|audience| listed(&application.audiences).any(|ours| ours == audience))
        };
        let is_meant = match member(&claims, "aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            audience => audience.is_some_and(is_ours),
        };
        if !is_meant {
            return Err(AccessFault::Audience);
        }
        let ends = member(&claims, "exp").and_then(Value::as_f64).ok_or(malformed)?;
        if seconds(now - LEEWAY_MS) >= ends {
            return Err(AccessFault::Expired);
        }
        let begins = member(&claims, "nbf").map_or(Some(0.0), Value::as_f64).ok_or(malformed)?;
        if seconds(now + LEEWAY_MS) < begins {
            return Err(AccessFault::NotYetValid);
        }
        let is_name = |name: &&str| !name.is_empty() && name.len() <= LONGEST_NAME;
        let name = ["email", "common_name"].into_iter().find_map(|key| text(&claims, key).filter(is_name));
        let name = name.ok_or(AccessFault::Nameless)?.to_owned();
        Ok(Self { key: key.to_owned(), signed: signed.to_owned(), signature, name })
    }
}

/// Whether a list in a variable has a name: itself, or `*@` and its domain. Letters count the same
/// in both cases.
#[inline(never)]
pub fn is_listed(list: &str, name: &str) -> bool {
    let domain = name.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty());
    listed(list).any(|entry| match entry.strip_prefix("*@") {
        Some(whole) => domain.is_some_and(|domain| domain.eq_ignore_ascii_case(whole)),
        None => entry.eq_ignore_ascii_case(name),
    })
}

/// The entries of a list with commas.
fn listed(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// A part of a token: an object, in base64.
#[inline(never)]
fn object(part: &str) -> Option<Value> {
    serde_json::from_slice(&decoded(part)?).ok().filter(Value::is_object)
}

/// The bytes of base64 for URLs without padding (RFC 4648). The decoder of `base64ct` is ten times
/// as much Wasm, and its constant time is for secrets.
#[inline(never)]
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        (bits, count) = ((bits << 6) | u32::from(digit), count + 6);
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
        }
    }
    // What is left over is less than a digit, and zero.
    (count < 6 && bits & ((1 << count) - 1) == 0).then_some(bytes)
}

/// Not inlined, as it is used for each claim.
#[inline(never)]
fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.get(name)
}

fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    member(object, name)?.as_str()
}

#[expect(clippy::cast_precision_loss, reason = "exact for a hundred thousand years")]
fn seconds(at: Instant) -> f64 {
    at.epoch_ms() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Instant = Instant::from_epoch_ms(1_767_225_600_000);
    const SECONDS: u64 = 1_767_225_600;

    fn application() -> AccessApplication {
        AccessApplication::of("https://team.cloudflareaccess.com", "aud-1, aud-2").unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "https://team.cloudflareaccess.com", "aud": ["aud-1"], "type": "app",
            "exp": SECONDS + 300, "nbf": SECONDS - 300, "iat": SECONDS - 300, "sub": "7335d417",
            "email": "ada@example.com",
        })
    }

    fn encoded(part: &Value) -> String {
        Base64UrlUnpadded::encode_string(part.to_string().as_bytes())
    }

    fn check(header: &Value, claims: &Value) -> Result<AccessClaim, AccessFault> {
        let token = format!("{}.{}.c2ln", encoded(header), encoded(claims));
        AccessClaim::check(&token, &application(), NOW)
    }

    fn with(name: &str, value: Value) -> Result<AccessClaim, AccessFault> {
        let mut changed = claims();
        if value.is_null() {
            changed.as_object_mut().unwrap().remove(name);
        } else {
            changed[name] = value;
        }
        check(&json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}), &changed)
    }

    #[test]
    fn a_good_token_names_who_calls_and_what_is_to_be_verified() {
        let claim = with("country", json!("DE")).unwrap();
        assert_eq!((claim.key.as_str(), claim.name.as_str()), ("k1", "ada@example.com"));
        assert_eq!(claim.signature, b"sig");
        assert_eq!(claim.signed.matches('.').count(), 1);
        // A token of a service has no email and no `nbf`, and its audience may be a text.
        let service = json!({
            "iss": "https://team.cloudflareaccess.com", "aud": "aud-2", "exp": SECONDS + 1, "sub": "",
            "common_name": "e367826f.access",
        });
        let claim = check(&json!({"alg": "RS256", "kid": "k1"}), &service).unwrap();
        assert_eq!(claim.name, "e367826f.access");
    }

    #[test]
    fn each_claim_is_checked() {
        use AccessFault::{Audience, Expired, Issuer, Malformed, Nameless, NotYetValid};
        for (name, value, expected) in [
            ("iss", json!("https://other.cloudflareaccess.com"), Issuer),
            ("iss", json!("https://team.cloudflareaccess.com.example.com"), Issuer),
            ("iss", json!(["https://team.cloudflareaccess.com"]), Issuer),
            ("iss", Value::Null, Issuer),
            ("aud", json!(["aud-3"]), Audience),
            ("aud", json!("aud-1, aud-2"), Audience),
            ("aud", json!([]), Audience),
            ("aud", json!({"aud-1": 1}), Audience),
            ("aud", Value::Null, Audience),
            ("exp", json!(SECONDS - 60), Expired),
            ("exp", json!(-1), Expired),
            ("exp", json!("never"), Malformed),
            ("exp", Value::Null, Malformed),
            ("nbf", json!(SECONDS + 61), NotYetValid),
            ("nbf", json!("now"), Malformed),
            ("email", Value::Null, Nameless),
            ("email", json!(""), Nameless),
            ("email", json!(7), Nameless),
            ("email", json!("a".repeat(401)), Nameless),
        ] {
            assert_eq!(with(name, value.clone()), Err(expected), "{name}: {value}");
        }
        for (name, value) in [
            ("exp", json!(SECONDS - 59)),
            ("exp", json!(1e12)),
            ("nbf", json!(SECONDS + 60)),
            ("nbf", Value::Null),
        ] {
            assert!(with(name, value.clone()).is_ok(), "{name}: {value}");
        }
    }

    #[test]
    fn only_rs256_with_a_key_is_taken() {
        use AccessFault::{Algorithm, Malformed};
        for (header, expected) in [
            (json!({"alg": "none", "kid": "k1"}), Algorithm),
            (json!({"alg": "HS256", "kid": "k1"}), Algorithm),
            (json!({"alg": "ES256", "kid": "k1"}), Algorithm),
            (json!({"alg": "rs256", "kid": "k1"}), Algorithm),
            (json!({"kid": "k1"}), Algorithm),
            (json!({"alg": ["RS256"], "kid": "k1"}), Algorithm),
            (json!({"alg": "RS256"}), Malformed),
            (json!({"alg": "RS256", "kid": 1}), Malformed),
            (json!({"alg": "RS256", "kid": "k1", "crit": ["exp"]}), Malformed),
            (json!(["RS256"]), Malformed),
        ] {
            assert_eq!(check(&header, &claims()), Err(expected), "{header}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let (header, claims) = (encoded(&json!({"alg": "RS256", "kid": "k1"})), encoded(&claims()));
        for token in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}.c2ln="),
            format!("{header}.{claims}.é"),
            format!("{header}.{claims}.c2ln.c2ln"),
            format!("{header}.{}.c2ln", "A".repeat(LONGEST)),
        ] {
            let found = AccessClaim::check(&token, &application(), NOW);
            assert_eq!(found, Err(AccessFault::Malformed), "{token:.80}");
        }
    }

    #[test]
    fn an_application_needs_an_origin_and_an_audience() {
        let team = |domain, audiences| AccessApplication::of(domain, audiences).map(|found| found.team);
        let expected = Some("https://team.cloudflareaccess.com".to_owned());
        assert_eq!(team("https://team.cloudflareaccess.com", "a"), expected);
        assert_eq!(team(" https://team.cloudflareaccess.com/ ", "a,b"), expected);
        for (domain, audiences) in [
            ("team", "a"),
            ("team.cloudflareaccess.com", "a"),
            ("http://team.cloudflareaccess.com", "a"),
            ("http://127.0.0.1.example.com", "a"),
            ("http://127.0.0.1:80@example.com", "a"),
            ("https://user@example.com", "a"),
            ("https://", "a"),
            ("https://team.cloudflareaccess.com/path", "a"),
            ("https://team.cloudflareaccess.com", " , "),
            ("", "a"),
        ] {
            assert_eq!(team(domain, audiences), None, "{domain} {audiences}");
        }
        assert_eq!(application().keys_url(), "https://team.cloudflareaccess.com/cdn-cgi/access/certs");
    }

    #[test]
    fn a_list_has_names_and_domains() {
        let list = "ada@example.com, *@ops.example.com,ci.access,*";
        for (name, expected) in [
            ("ada@example.com", true),
            ("Ada@Example.com", true),
            ("bob@example.com", false),
            ("bob@ops.example.com", true),
            ("bob@OPS.example.com", true),
            ("bob@evil-ops.example.com", false),
            ("bob@ops.example.com.evil.com", false),
            ("bob@evil.com@ops.example.com", true),
            ("@ops.example.com@evil.com", false),
            ("ops.example.com", false),
            ("ci.access", true),
            ("other.access", false),
            ("", false),
        ] {
            assert_eq!(is_listed(list, name), expected, "{name}");
        }
        assert!(!is_listed("", "") && !is_listed("*@", "ada@example.com") && !is_listed("*@", "ada@"));
    }

    /// JSON with the names of claims and any values.
    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<f64>().prop_map(Value::from),
            prop::sample::select(vec!["RS256", "k1", "aud-1", "https://team.cloudflareaccess.com"])
                .prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        let names = vec!["alg", "kid", "crit", "iss", "aud", "exp", "nbf", "email", "common_name"];
        let name = prop::sample::select(names).prop_map(str::to_owned);
        leaf.prop_recursive(2, 12, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..9)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn base64_is_read_as_it_is_written(bytes: Vec<u8>, text in "[A-Za-z0-9_=-]{0,12}") {
            prop_assert_eq!(decoded(&Base64UrlUnpadded::encode_string(&bytes)), Some(bytes));
            prop_assert_eq!(decoded(&text), Base64UrlUnpadded::decode_vec(&text).ok());
        }

        #[test]
        fn no_header_panics(token in ".{0,80}", header in json_value(), claims in json_value()) {
            let _ = AccessClaim::check(&token, &application(), NOW);
            let token = format!("{}.{}.{token}", encoded(&header), encoded(&claims));
            let _ = AccessClaim::check(&token, &application(), NOW);
            if let Ok(claim) = check(&header, &claims) {
                prop_assert_eq!(&header["alg"], "RS256");
                prop_assert!(!claim.name.is_empty());
            }
        }
    }
}

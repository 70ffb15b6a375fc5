//! Signatures of webhooks, after Standard Webhooks:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! A receiver computes the same signature with the same secret. So it knows who sent the message,
//! and that nobody changed it.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret in base64 begins with.
const PREFIX: &str = "whsec_";

/// A key that signs messages. It is never printed.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// The key of a secret: `whsec_` and base64, or any other text, which is the key itself. `None`
    /// if the base64 is invalid or the key is empty.
    pub fn parse(secret: &str) -> Option<Self> {
        let bytes = match secret.strip_prefix(PREFIX) {
            Some(encoded) => Base64::decode_vec(encoded).ok()?,
            None => secret.into(),
        };
        if bytes.is_empty() {
            return None;
        }
        Hmac::new_from_slice(&bytes).ok().map(Self)
    }

    /// The value of the header `webhook-signature` for a message. `timestamp`: that of the header
    /// `webhook-timestamp`, in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: u64, body: &str) -> String {
        let mut mac = self.0.clone();
        for part in [id, ".", &timestamp.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::SigningKey;

    #[test]
    fn a_message_is_signed_as_the_example_of_the_specification() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    #[test]
    fn a_secret_is_base64_after_its_prefix_and_otherwise_the_key_itself() {
        let sign = |secret: &str| SigningKey::parse(secret).map(|key| key.sign("id", 7, "body"));
        assert_eq!(sign("whsec_c2VjcmV0"), sign("secret"));
        assert_ne!(sign("whsec_c2VjcmV0"), sign("c2VjcmV0"));
        for invalid in ["", "whsec_", "whsec_c2Vj cmV0", "whsec_c2VjcmV", "whsec_é", "whsec_c2VjcmV0\n"] {
            assert_eq!(sign(invalid), None, "{invalid:?}");
        }
    }
}

//! A token of Entra ID: how it is asked for, and what the answer means.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>,
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.

use serde_json::Value;

use crate::request::percent::encode;
use crate::routes::entra::{Entra, EntraProof};
use crate::vocabulary::time::Millis;

/// The longest token, in bytes. A longer one fits no header.
const LONGEST_TOKEN: usize = 16 * 1024;

/// A POST that asks for a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The URL.
    pub url: String,
    /// The body, a form. It has the secret.
    pub form: String,
}

/// A token as it was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token.
    pub text: String,
    /// How long it is valid.
    pub lives_ms: Millis,
    /// After which time the issuer wants it to be replaced, if it says so.
    pub refresh_ms: Option<Millis>,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFailure {
    /// A short name: the code of Entra ID (`AADSTS7000215`), or what happened. It has no secret.
    pub reason: String,
    /// Whether Entra ID refuses to issue one. Then people have to mend something. Otherwise it was
    /// not reached, or cannot serve for now.
    pub is_refusal: bool,
}

impl TokenFailure {
    /// Entra ID does not answer.
    pub fn unreachable() -> Self {
        Self { reason: "token_endpoint_unreachable".to_owned(), is_refusal: false }
    }

    /// The reason, with its meaning for who has to mend it.
    pub fn said(&self) -> String {
        let meaning = MEANINGS.iter().find(|(code, _)| self.reason.strip_prefix("AADSTS") == Some(code));
        match meaning {
            Some((_, meaning)) => format!("{} ({meaning})", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// Codes that a mistake in the settings causes.
const MEANINGS: [(&str, &str); 11] = [
    ("7000215", "the client secret is wrong; the value of the secret is needed, not its id"),
    ("7000222", "the client secret has expired"),
    ("7000112", "the application is disabled"),
    ("700016", "there is no such application in this tenant"),
    ("700024", "the assertion is not valid at this time"),
    ("700027", "the assertion is not signed with a known key"),
    ("700211", "no federated credential of the application has the issuer of the assertion"),
    ("700213", "no federated credential of the application has the subject of the assertion"),
    ("90002", "there is no such tenant at this authority"),
    ("500011", "the tenant does not know the resource of the scope"),
    ("1002012", "the scope must end with /.default"),
];

/// The request for a token.
pub fn token_request(entra: &Entra) -> TokenRequest {
    let Entra { authority, tenant, client_id, proof, scope, .. } = entra;
    let proof = match proof {
        EntraProof::Secret(secret) => format!("client_secret={}", encode(secret.reveal())),
        EntraProof::Assertion(assertion) => format!(
            "client_assertion_type={}&client_assertion={}",
            encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            encode(assertion.reveal())
        ),
    };
    TokenRequest {
        url: format!("{authority}/{}/oauth2/v2.0/token", encode(tenant)),
        form: format!(
            "grant_type=client_credentials&client_id={}&scope={}&{proof}",
            encode(client_id),
            encode(scope)
        ),
    }
}

/// The token in an answer.
///
/// # Errors
/// There is none, for this reason.
pub fn token_answer(status: u16, text: &str) -> Result<IssuedToken, TokenFailure> {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let seconds = |name: &str| {
        let value = answer.get(name)?;
        // Older versions of the endpoint write numbers as texts.
        let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Millis::new(seconds.saturating_mul(1_000)))
    };
    let is_token = |text: &&str| {
        (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let token = answer.get("access_token").and_then(Value::as_str).filter(is_token);
    if let (200, Some(text), Some(lives_ms)) = (status, token, seconds("expires_in")) {
        return Ok(IssuedToken { text: text.to_owned(), lives_ms, refresh_ms: seconds("refresh_in") });
    }
    let error = answer.get("error").and_then(Value::as_str).unwrap_or_default();
    let code = answer.pointer("/error_codes/0").and_then(Value::as_u64);
    let is_word = (1..=64).contains(&error.len())
        && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let reason = match code {
        Some(code) => format!("AADSTS{code}"),
        None if is_word => error.to_owned(),
        None if status == 200 => "token_answer_without_token".to_owned(),
        None => format!("token_endpoint_status_{status}"),
    };
    let is_refusal = matches!(status, 400 | 401 | 403 | 404) && error != "temporarily_unavailable";
    Err(TokenFailure { reason, is_refusal })
}

#[cfg(test)]
mod tests {
    use super::{token_answer, token_request};
    use crate::routes::entra::{Entra, EntraProof};
    use crate::routes::graph::Secret;
    use crate::vocabulary::time::Millis;

    fn entra(proof: EntraProof) -> Entra {
        Entra {
            authority: "https://login.microsoftonline.com".to_owned(),
            tenant: "contoso.onmicrosoft.com".to_owned(),
            client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
            proof,
            scope: "https://ai.azure.com/.default".to_owned(),
            identity: "".into(),
        }
    }

    #[test]
    fn a_secret_and_an_assertion_are_sent_as_the_protocol_wants() {
        let request = token_request(&entra(EntraProof::Secret(Secret::new("a~b&c=d+e/f"))));
        assert_eq!(
            request.url,
            "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"
        );
        assert_eq!(
            request.form,
            "grant_type=client_credentials&client_id=11111111-2222-3333-4444-555555555555\
             &scope=https%3A%2F%2Fai.azure.com%2F.default&client_secret=a~b%26c%3Dd%2Be%2Ff"
        );
        let request = token_request(&entra(EntraProof::Assertion(Secret::new("eyJ0.eyJz.c2ln"))));
        assert!(request.form.ends_with(
            "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion=eyJ0.eyJz.c2ln"
        ));
    }

    #[test]
    fn an_answer_has_a_token_or_a_reason_that_teaches() {
        let token = token_answer(200, r#"{"token_type":"Bearer","expires_in":3599,"access_token":"eyJ0"}"#);
        let token = token.unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!(
            (token.text.as_str(), token.lives_ms, token.refresh_ms),
            ("eyJ0", Millis::new(3_599_000), None)
        );
        let text = r#"{"expires_in":"86399","refresh_in":"43199","access_token":"eyJ0"}"#;
        let token = token_answer(200, text).unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!(token.refresh_ms, Some(Millis::new(43_199_000)));

        let refused = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}"#;
        for (status, text, reason, is_refusal) in [
            (401, refused, "AADSTS7000215", true),
            (400, r#"{"error":"invalid_scope"}"#, "invalid_scope", true),
            (400, r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#, "AADSTS90033", false),
            (404, "<html>", "token_endpoint_status_404", true),
            (429, "{}", "token_endpoint_status_429", false),
            (503, "", "token_endpoint_status_503", false),
            (302, "", "token_endpoint_status_302", false),
            // A text that is no code is not repeated.
            (400, r#"{"error":"the secret hunter2 is wrong"}"#, "token_endpoint_status_400", true),
            (200, "{}", "token_answer_without_token", false),
            (200, r#"{"expires_in":3599,"access_token":"two words"}"#, "token_answer_without_token", false),
            (200, r#"{"access_token":"eyJ0"}"#, "token_answer_without_token", false),
        ] {
            let failure = token_answer(status, text).err().unwrap_or_else(|| panic!("a token: {text}"));
            assert_eq!(
                (failure.reason.as_str(), failure.is_refusal),
                (reason, is_refusal),
                "{status} {text}"
            );
        }
        let failure = token_answer(401, refused).err().unwrap_or_else(|| panic!("a token"));
        assert!(failure.said().starts_with("AADSTS7000215 (the client secret is wrong"));
    }
}

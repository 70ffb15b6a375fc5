//! Calls of the Durable Object `Registry`. No request for a model waits for one.

use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::isolate_memory::Isolate;
use super::platform::Platform;
use super::timing::until;
use crate::registry::registry_requests::{NoticeAnswer, NoticeRequest, RegistryAnswer};
use crate::registry::version_ledger::Act;
use crate::routes::version_of;
use crate::scan::json_value;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::time::Millis;

/// How long the registry may take. It is one object in the world, and documents are large.
const ANSWER_MS: Millis = Millis::new(10_000);

/// What is asked of the registry. Behind a pointer, so that there is one copy of the code.
pub(super) type RegistryCall<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + 'a>>;

/// The answer of the registry to a request for a path.
///
/// # Errors
/// There is no binding to it, or it does not answer.
pub(super) fn ask<'a, P: Platform>(
    platform: &'a P,
    path: &'a str,
    request: &impl Serialize,
) -> RegistryCall<'a, RegistryAnswer> {
    Box::pin(send(platform, path, serde_json::to_string(request).unwrap_or_default()))
}

async fn send<P: Platform>(platform: &P, path: &str, body: String) -> Result<RegistryAnswer, ClientError> {
    if !platform.has_registry() {
        return Err(ClientError::RegistryMissing);
    }
    let asked = platform.ask_registry(path, body);
    let why = match until(platform, platform.now() + ANSWER_MS, asked).await {
        Some(Ok((status, _))) if status == 400 || status >= 500 => format!("status {status}"),
        Some(Ok(answer)) => return Ok(answer),
        Some(Err(error)) => error.to_string(),
        None => format!("no answer within {ANSWER_MS} ms"),
    };
    platform.warn(&format!("registry: it does not answer to {path}: {why}"));
    Err(ClientError::RegistryUnavailable)
}

/// The value of an answer with status 200.
///
/// # Errors
/// It has another form.
pub(super) fn value<T: DeserializeOwned>(text: &str) -> Result<T, ClientError> {
    json_value::parse(text).ok_or(ClientError::RegistryUnavailable)
}

/// Adds an act to the log of the registry, beside the request.
pub(super) fn log_act<P: Platform>(platform: &P, act: Act) {
    let background = platform.clone();
    platform.in_background(async move {
        // Without a registry there is no log. Another failure was written to the log of the Worker.
        let _ = ask(&background, "act", &act).await;
    });
}

impl Isolate {
    /// Tells the registry which document of the store serves, and the hash of its text. One that it
    /// does not know was written outside the API. Returns whether the registry has it as the
    /// current one now.
    ///
    /// # Errors
    /// There is no registry, or it does not answer.
    pub(super) fn notice<'a, P: Platform>(
        &'a self,
        platform: &'a P,
        hash: u64,
        document: &'a str,
    ) -> RegistryCall<'a, bool> {
        Box::pin(self.tell(platform, hash, document))
    }

    async fn tell<P: Platform>(&self, platform: &P, hash: u64, document: &str) -> Result<bool, ClientError> {
        let version = version_of(hash);
        let mut request = NoticeRequest { version, document: None };
        let (_, text) = ask(platform, "notice", &request).await?;
        let mut answer: NoticeAnswer = value(&text)?;
        if answer.is_wanted {
            request.document = Some(document.to_owned());
            answer = value(&ask(platform, "notice", &request).await?.1)?;
        }
        if answer.is_known {
            self.noticed.set(Some(hash));
        }
        Ok(answer.is_known)
    }

    /// The same, if it was not done for this document. Without a registry, nothing happens.
    pub(super) async fn notice_once<P: Platform>(&self, platform: &P, hash: u64, document: &str) {
        if self.noticed.get() != Some(hash) && platform.has_registry() {
            // The next check of the document tries again.
            let _ = self.notice(platform, hash, document).await;
        }
    }
}

//! The body of a call of the admin API.

use std::pin::Pin;

use super::held_body::HeldBody;
use super::platform::Platform;
use super::receive::Arrival;
use super::request_body::{Reading, RequestBody};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::time::Millis;

/// The longest body: that of the largest routes document.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How long it may take to arrive.
const BODY_MS: Millis = Millis::new(30_000);

/// It is behind a pointer, so that the Wasm has the code once, and not for each caller.
type BodyText<'a> = Pin<Box<dyn Future<Output = Result<String, ClientError>> + 'a>>;

/// Reads the body as a text. One that is not UTF-8 counts as empty.
///
/// # Errors
/// It breaks off, is late or is too long.
pub(super) fn read<'a, P: Platform>(platform: &'a P, arrival: &'a Arrival) -> BodyText<'a> {
    Box::pin(async move {
        let _held = HeldBody::of(platform);
        let length = arrival.header("content-length").and_then(|length| length.parse().ok());
        let body = RequestBody::read(platform, &Reading::Bytes, length, MOST_BYTES, BODY_MS).await?;
        if !body.is_replayable() {
            return Err(ClientError::InvalidJson(format!("The body has more than {MOST_BYTES} bytes.")));
        }
        Ok(str::from_utf8(body.known_bytes()).unwrap_or_default().to_owned())
    })
}

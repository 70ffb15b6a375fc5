//! Responses, built in one place.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{ReadableStream, Response, ResponseInit};
use worker::Context;

use super::call::{Committed, Content};
use super::{flow, js};
use crate::reply::ErrorReply;

/// What a response carries.
pub enum Sent {
    /// Nothing.
    Nothing,
    /// All of it.
    Bytes(Uint8Array),
    /// A stream.
    Stream(ReadableStream),
}

/// A response.
pub fn with<'h, N: AsRef<str> + 'h>(
    status: u16,
    headers: impl IntoIterator<Item = &'h (N, String)>,
    body: &Sent,
) -> Result<Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(status);
    let headers = js::headers(headers.into_iter().map(|(name, value)| (name.as_ref(), value.as_str())))?;
    init.set_headers(&headers);
    match body {
        Sent::Nothing => Response::new_with_opt_str_and_init(None, &init),
        Sent::Bytes(bytes) => Response::new_with_opt_js_u8_array_and_init(Some(bytes), &init),
        Sent::Stream(stream) => Response::new_with_opt_readable_stream_and_init(Some(stream), &init),
    }
}

/// A response without a body.
pub fn empty(status: u16, headers: &[(&'static str, String)]) -> Result<Response, JsValue> {
    with(status, headers, &Sent::Nothing)
}

/// 200 with JSON.
pub fn json(text: &str, extra: &[(&'static str, String)]) -> Result<Response, JsValue> {
    let content_type = [("content-type", "application/json".to_owned())];
    let body = Uint8Array::from(text.as_bytes());
    with(200, content_type.iter().chain(extra), &Sent::Bytes(body))
}

/// An error, with our own headers.
pub fn error(error: &ErrorReply, own: Vec<(&'static str, String)>) -> Result<Response, JsValue> {
    let headers: Vec<(String, String)> = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(error.headers.iter().cloned())
        .collect();
    with(error.status, &headers, &Sent::Bytes(Uint8Array::from(error.body.as_slice())))
}

/// The answer of an upstream, with our own headers. A stream goes on flowing after the response is returned.
pub fn committed(
    committed: Committed,
    own: &[(&'static str, String)],
    context: &Context,
) -> Result<Response, JsValue> {
    let Committed { status, mut headers, body } = committed;
    headers.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let sent = match body {
        // A 204 has no body, not even an empty one.
        Content::Whole(bytes) if bytes.is_empty() => Sent::Nothing,
        Content::Whole(bytes) | Content::Held(bytes) => Sent::Bytes(Uint8Array::from(bytes.as_slice())),
        Content::Flowing(flowing) => {
            let pipe = js::IdentityTransformStream::new();
            let client = pipe.writable();
            js::wait_until(context, async move {
                flow::carry(flowing, client).await;
            });
            Sent::Stream(pipe.readable())
        }
    };
    with(status, &headers, &sent)
}

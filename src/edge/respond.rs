//! Responses, built in one place.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{ReadableStream, Response};

use super::call::{Committed, Content};
use super::host::Exchange;
use super::{flow, host, js};
use crate::vocabulary::error_reply::ErrorReply;
use crate::vocabulary::headers::Headers;

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
pub fn with(status: u16, headers: &Headers, body: &Sent) -> Result<Response, JsValue> {
    let nothing = JsValue::NULL;
    let body = match body {
        Sent::Nothing => &nothing,
        Sent::Bytes(bytes) => bytes,
        Sent::Stream(stream) => stream,
    };
    host::response(status, headers.text(), body)
}

/// A response without a body.
pub fn empty(status: u16, headers: &[(&'static str, String)]) -> Result<Response, JsValue> {
    with(status, &Headers::of(headers.iter().map(|(name, value)| (name, value))), &Sent::Nothing)
}

/// 200 with JSON.
pub fn json(text: &str, own: Vec<(&'static str, String)>) -> Result<Response, JsValue> {
    let mut headers = Headers::of([("content-type", "application/json")]);
    headers.extend(own);
    with(200, &headers, &Sent::Bytes(text.as_bytes().into()))
}

/// An error, with our own headers.
pub fn error(error: &ErrorReply, own: Vec<(&'static str, String)>) -> Result<Response, JsValue> {
    let mut headers = error.headers.clone();
    headers.extend(own);
    with(error.status, &headers, &Sent::Bytes(error.body.as_slice().into()))
}

/// The answer of an upstream, with our own headers. A stream goes on flowing after the response is returned.
pub fn committed(
    committed: Committed,
    own: Vec<(&'static str, String)>,
    exchange: &Exchange,
) -> Result<Response, JsValue> {
    let Committed { call, withheld, body, .. } = committed;
    let text = format!("{withheld}\n{}", Headers::of(own).text());
    match body {
        Content::Whole { is_kept: true, .. } => call.pass(&text, &JsValue::UNDEFINED),
        Content::Whole { bytes, .. } | Content::Held(bytes) => {
            call.pass(&text, &Uint8Array::from(bytes.as_slice()))
        }
        Content::Flowing(flowing) => {
            let pipe = js::IdentityTransformStream::new();
            let client = pipe.writable();
            js::wait_until(exchange, async move {
                flow::carry(flowing, client).await;
            });
            call.pass(&text, &pipe.readable())
        }
    }
}

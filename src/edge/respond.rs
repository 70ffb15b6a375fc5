//! Converts replies into responses of the runtime.

use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::Response;

use super::host;
use super::worker_request::WorkerRequest;
use crate::serve::client_reply::{ClientReply, ReplyBody};
use crate::serve::platform::PlatformError;
use crate::vocabulary::error_reply::ErrorReply;

/// The response for a reply.
pub fn response(reply: ClientReply<WorkerRequest>) -> Result<Response, PlatformError> {
    match reply {
        ClientReply::Own { status, headers, body } => {
            let body = body.map_or(JsValue::NULL, |bytes| bytes_of(&bytes));
            host::response(status, &headers, &body)
        }
        ClientReply::OwnStream { headers, body } => host::response(200, &headers, &body),
        ClientReply::Upstream { call, withheld, headers, body } => {
            let body = match body {
                ReplyBody::AsRead => JsValue::UNDEFINED,
                ReplyBody::Bytes(bytes) => bytes_of(&bytes),
                ReplyBody::Stream(stream) => stream.into(),
            };
            call.pass(&withheld, &headers, &body)
        }
    }
}

/// The response for an error of the gateway.
pub fn error(error: &ErrorReply) -> Result<Response, PlatformError> {
    host::response(error.status, &error.headers, &bytes_of(&error.body))
}

fn bytes_of(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

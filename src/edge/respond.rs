//! Responses of the runtime.

use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::Response;

use super::host;
use super::request::WorkerRequest;
use crate::reply::ErrorReply;
use crate::serve::platform::PlatformError;
use crate::serve::reply::{Reply, ReplyBody};

/// The response for a reply.
pub fn response(reply: Reply<WorkerRequest>) -> Result<Response, PlatformError> {
    match reply {
        Reply::Own { status, headers, body } => {
            let body = body.map_or(JsValue::NULL, |bytes| bytes_of(&bytes));
            host::response(status, &headers, &body)
        }
        Reply::OwnStream { headers, body } => host::response(200, &headers, &body),
        Reply::Upstream { call, withheld, headers, body } => {
            let body = match body {
                ReplyBody::AsRead => JsValue::UNDEFINED,
                ReplyBody::Bytes(bytes) => bytes_of(&bytes),
                ReplyBody::Stream(stream) => stream.into(),
            };
            call.pass(&withheld, &headers, &body)
        }
    }
}

/// The response for an error of our own.
pub fn error(error: &ErrorReply) -> Result<Response, PlatformError> {
    host::response(error.status, &error.headers, &bytes_of(&error.body))
}

fn bytes_of(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

//! What the Worker asks of the runtime on the way of every request: `host.js`, in which each function does what would take many calls
//! from here. Nothing in it decides anything.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{Headers, Request, Response};

#[wasm_bindgen(raw_module = "./host.js")]
extern "C" {
    /// Tells the end of a promise to a wait of `task`.
    pub fn settle(promise: &Promise, wait: u32);
    /// Has `task::rang` called after so many milliseconds.
    pub fn arm(task: u32, ms: u32) -> JsValue;
    /// Ends what [`arm`] began.
    pub fn disarm(timer: &JsValue);

    /// `METHOD\nURL\n`, and then the headers as [`crate::headers::Headers`] reads them.
    pub fn arrival(request: &Request) -> String;
    /// Headers as [`crate::headers::Headers`] reads them.
    pub fn listed(headers: &Headers) -> String;
    /// Tells all of a request's body, as a `Uint8Array`.
    #[wasm_bindgen(js_name = readAll)]
    pub fn read_request(request: &Request, wait: u32);
    /// Tells all of a response's body, as a `Uint8Array`.
    #[wasm_bindgen(js_name = readAll)]
    pub fn read_response(response: &Response, wait: u32);
    /// A text of pieces: of `original`, and of what is put in between.
    pub fn splice(original: &Uint8Array, pieces: &[u32], inserted: &[u8]) -> Uint8Array;

    /// An upstream call.
    pub type Call;
    #[wasm_bindgen(constructor)]
    pub fn new() -> Call;
    /// Sends the request, and tells the response.
    #[wasm_bindgen(method)]
    pub fn send(this: &Call, url: &str, method: &str, headers: &str, body: &JsValue, wait: u32);
    /// Ends the call, wherever it stands.
    #[wasm_bindgen(method)]
    pub fn abort(this: &Call);

    /// A response with this body: bytes, a stream, or `null`.
    #[wasm_bindgen(catch)]
    pub fn response(status: u16, headers: &str, body: &JsValue) -> Result<Response, JsValue>;
}

//! What the Worker asks of the runtime on the way of every request: `host.js`, in which each function does what would take many calls
//! from here. Nothing in it decides anything: it is told which headers may pass.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, Request, Response};
use worker_sys::Context;

use super::js::Env;

#[wasm_bindgen(raw_module = "./host.js")]
extern "C" {
    /// Tells the end of a promise.
    pub fn settle(promise: &Promise, wait: u32);
    /// Has `task::rang` called after so many milliseconds. A timer of the runtime comes back.
    pub fn arm(task: u32, ms: u32) -> JsValue;
    /// Ends what [`arm`] began.
    pub fn disarm(timer: &JsValue);
    /// A response of our own, with this body: bytes, a stream, or `null`.
    #[wasm_bindgen(catch)]
    pub fn response(status: u16, headers: &str, body: &JsValue) -> Result<Response, JsValue>;

    /// A request that has arrived, and who waits for its answer.
    #[derive(Clone)]
    pub type Exchange;
    #[wasm_bindgen(method, getter)]
    pub fn request(this: &Exchange) -> Request;
    #[wasm_bindgen(method, getter)]
    pub fn env(this: &Exchange) -> Env;
    #[wasm_bindgen(method, getter)]
    pub fn context(this: &Exchange) -> Context;
    /// Reads all of the body, which is said to have so many bytes, keeps it there, and tells how long it is, and a short one itself.
    #[wasm_bindgen(method)]
    pub fn read(this: &Exchange, length: u32, wait: u32);
    /// What the body that is kept has from `start` to `end`.
    #[wasm_bindgen(method)]
    pub fn part(this: &Exchange, start: usize, end: usize) -> Vec<u8>;
    /// Keeps a body that was read otherwise.
    #[wasm_bindgen(method)]
    pub fn keep(this: &Exchange, body: &[u8]);
    /// Answers the client.
    #[wasm_bindgen(method)]
    pub fn answer(this: &Exchange, response: &Response);

    /// A call of an upstream.
    #[derive(Clone)]
    pub type Call;
    #[wasm_bindgen(constructor)]
    pub fn new(exchange: &Exchange) -> Call;
    /// Sends the request, and tells the answer. `text`: `URL\nMETHOD\n`, the names of the client's headers that stay here, with a line
    /// break behind each, an empty line, and headers to lay over those that go on. The body is what the exchange keeps, or `pieces` of it and of `inserted` (three numbers each: 0 for what is kept and 1 for
    /// what is inserted, begin, end), or `stream` where that is not `undefined`. JSON that says that it is not longer than
    /// `most` bytes is read at once.
    #[wasm_bindgen(method)]
    pub fn send(
        this: &Call,
        text: &str,
        pieces: &[u32],
        inserted: &[u8],
        stream: &JsValue,
        most: u32,
        wait: u32,
    );
    /// Whether there is an answer, of which some may be on its way.
    #[wasm_bindgen(method, js_name = isAnswered)]
    pub fn is_answered(this: &Call) -> bool;
    /// What follows the headers, if anything does.
    #[wasm_bindgen(method)]
    pub fn stream(this: &Call) -> Option<ReadableStream>;
    /// The upstream's response for the client, with another body, or where that is `undefined` the one that was read at once. `text`:
    /// the names of its headers that may not return, as for [`Self::send`], and our own headers.
    #[wasm_bindgen(method, catch)]
    pub fn pass(this: &Call, text: &str, body: &JsValue) -> Result<Response, JsValue>;
    /// Ends the call, wherever it stands.
    #[wasm_bindgen(method)]
    pub fn abort(this: &Call);
}

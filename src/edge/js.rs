//! What web-sys does not know of the Workers runtime, and small bridges to JavaScript values.

use std::pin::Pin;

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Headers, ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader, RequestInit, Response,
    WritableStream,
};
use worker::{Context, Env};

#[wasm_bindgen]
extern "C" {
    /// A pipe of bytes inside the runtime: no JavaScript runs for a chunk.
    /// <https://developers.cloudflare.com/workers/runtime-apis/streams/transformstream/#identitytransformstream>
    pub type IdentityTransformStream;
    #[wasm_bindgen(constructor)]
    pub fn new() -> IdentityTransformStream;
    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &IdentityTransformStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub fn writable(this: &IdentityTransformStream) -> WritableStream;

    /// The same with a known length, which becomes `content-length`.
    pub type FixedLengthStream;
    #[wasm_bindgen(constructor)]
    pub fn new(length: f64) -> FixedLengthStream;
    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &FixedLengthStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub fn writable(this: &FixedLengthStream) -> WritableStream;

    /// <https://developers.cloudflare.com/kv/api/>
    #[derive(Clone)]
    pub type KvNamespace;
    #[wasm_bindgen(method, catch)]
    pub fn get(this: &KvNamespace, key: &str, options: &Object) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub fn put(this: &KvNamespace, key: &str, value: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = fetch, catch)]
    fn global_fetch(url: &str, init: &RequestInit) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = console, js_name = warn)]
    pub fn warn(line: &str);
}

/// An outgoing request.
pub async fn fetch(url: &str, init: &RequestInit) -> Result<Response, JsValue> {
    Ok(JsFuture::from(global_fetch(url, init)?).await?.unchecked_into())
}

/// What is bound to a name, if anything is. That it is of that type is taken for granted.
pub fn binding<T: JsCast>(env: &Env, name: &str) -> Option<T> {
    let found = Reflect::get(env, &name.into()).ok()?;
    found.is_object().then(|| found.unchecked_into())
}

/// An object with one member.
pub fn object(name: &str, value: &JsValue) -> Object {
    let object = Object::new();
    let _ = Reflect::set(&object, &name.into(), value);
    object
}

/// Goes on beside the request, and after it. Boxed, so that what drives it is compiled once.
pub fn wait_until(context: &Context, future: impl Future<Output = ()> + 'static) {
    let boxed: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    context.wait_until(boxed);
}

/// The text of an exception, for logs.
pub fn text_of(error: &JsValue) -> String {
    Reflect::get(error, &"message".into())
        .ok()
        .and_then(|message| message.as_string())
        .or_else(|| error.as_string())
        .unwrap_or_else(|| "unknown error".to_owned())
}

/// A property that is a non-empty string.
pub fn string_at(object: &JsValue, name: &str) -> Option<String> {
    Reflect::get(object, &name.into()).ok()?.as_string().filter(|text| !text.is_empty())
}

/// Every header, names in lower case.
pub fn entries(headers: &Headers) -> Vec<(String, String)> {
    let text = |pair: &Array, index| pair.get(index).as_string().unwrap_or_default();
    Array::from(&headers.entries())
        .iter()
        .map(|pair| {
            let pair: Array = pair.unchecked_into();
            (text(&pair, 0), text(&pair, 1))
        })
        .collect()
}

/// The value of a header among `entries`, by its lower-case name.
pub fn value<'h>(entries: &'h [(String, String)], name: &str) -> Option<&'h str> {
    entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Headers with these values. A pair that HTTP does not allow is left out.
pub fn headers<'h>(pairs: impl IntoIterator<Item = (&'h str, &'h str)>) -> Result<Headers, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in pairs {
        let _ = headers.set(name, value);
    }
    Ok(headers)
}

/// One read of a stream: `None` at its end.
pub async fn read(reader: &ReadableStreamDefaultReader) -> Result<Option<Vec<u8>>, JsValue> {
    Ok(chunk(&JsFuture::from(reader.read()).await?))
}

/// One read of up to `capacity` bytes, in one piece however many chunks they came in: `None` at the end of the stream.
pub async fn read_gathered(
    reader: &ReadableStreamByobReader,
    capacity: u32,
) -> Result<Option<Vec<u8>>, JsValue> {
    let buffer = Uint8Array::new_with_length(capacity);
    Ok(chunk(&JsFuture::from(reader.read_with_array_buffer_view(&buffer)).await?))
}

fn chunk(result: &JsValue) -> Option<Vec<u8>> {
    let done = Reflect::get(result, &"done".into()).is_ok_and(|done| done.is_truthy());
    let value = Reflect::get(result, &"value".into()).ok()?;
    (!done && value.is_object()).then(|| value.unchecked_into::<Uint8Array>().to_vec())
}

/// Writes bytes, waits until they are on their way, and gives the stream free again.
pub async fn send(stream: &WritableStream, bytes: &[u8]) -> Result<(), JsValue> {
    let writer = stream.get_writer()?;
    let sent = JsFuture::from(writer.write_with_chunk(&Uint8Array::from(bytes))).await;
    writer.release_lock();
    sent.map(drop)
}

/// Ends a stream cleanly.
pub async fn close(stream: &WritableStream) -> Result<(), JsValue> {
    JsFuture::from(stream.get_writer()?.close()).await.map(drop)
}

//! What web-sys does not know of the Workers runtime, and small bridges to JavaScript values.

use js_sys::{Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader, WritableStream};

use super::host::Exchange;
use super::task::{self, Wait};

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

    /// Bindings, variables and secrets, by their names.
    #[derive(Clone)]
    pub type Env;

    /// <https://developers.cloudflare.com/kv/api/>
    #[derive(Clone)]
    pub type KvNamespace;
    #[wasm_bindgen(method, catch)]
    pub fn get(this: &KvNamespace, key: &str, options: &Object) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub fn put(this: &KvNamespace, key: &str, value: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = console, js_name = warn)]
    pub fn warn(line: &str);
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

/// Goes on beside the request, and after it.
pub fn wait_until(exchange: &Exchange, future: impl Future<Output = ()> + 'static) {
    let ended = task::promise(async move {
        future.await;
        Ok(JsValue::UNDEFINED)
    });
    // A context that has ended already takes nothing more, and has nothing to lose.
    let _ = exchange.context().wait_until(&ended);
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

/// One read of a stream: `None` at its end.
pub async fn read(reader: &ReadableStreamDefaultReader) -> Result<Option<Vec<u8>>, JsValue> {
    Ok(chunk(&Wait::of(&reader.read()).await?))
}

/// One read of up to `capacity` bytes, in one piece however many chunks they came in: `None` at the end of the stream.
pub async fn read_gathered(
    reader: &ReadableStreamByobReader,
    capacity: u32,
) -> Result<Option<Vec<u8>>, JsValue> {
    let buffer = Uint8Array::new_with_length(capacity);
    Ok(chunk(&Wait::of(&reader.read_with_array_buffer_view(&buffer)).await?))
}

fn chunk(result: &JsValue) -> Option<Vec<u8>> {
    let done = Reflect::get(result, &"done".into()).is_ok_and(|done| done.is_truthy());
    let value = Reflect::get(result, &"value".into()).ok()?;
    (!done && value.is_object()).then(|| value.unchecked_into::<Uint8Array>().to_vec())
}

/// Writes bytes, waits until they are on their way, and gives the stream free again.
pub async fn send(stream: &WritableStream, bytes: &[u8]) -> Result<(), JsValue> {
    let writer = stream.get_writer()?;
    let sent = Wait::of(&writer.write_with_chunk(&Uint8Array::from(bytes))).await;
    writer.release_lock();
    sent.map(drop)
}

/// Ends a stream cleanly.
pub async fn close(stream: &WritableStream) -> Result<(), JsValue> {
    Wait::of(&stream.get_writer()?.close()).await.map(drop)
}

//! The host module, `host/*.js`: coarse calls of the runtime that every request makes, as async
//! functions.
//!
//! This is where the Worker differs from the usual way of the `worker` crate. docs/benchmarks.md
//! says what each difference saves. The rest of the platform (bindings, variables, the Durable
//! Object, the console) uses the crate.

use worker::Env;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{AbortController, ReadableStream, Request, Response, WritableStream};

use super::wait::{self, Settled, Wait};
use crate::request::access_keys::AccessKey;
use crate::request::splice::{Piece, Splice};
use crate::serve::platform::{
    BodyLimits, BodyStart, ByteReader, ByteStream, ClientStream, OutgoingBody, OutgoingRequest, Pipe,
    PipeEnd, PlatformCall, PlatformError, ReceivedBody, ResponseHead, UploadError,
};
use crate::stream::usage_filter::UsageFilter;
use crate::vocabulary::facts::Place;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::{Instant, Millis};

#[wasm_bindgen(module = "/src/edge/host/waits.js")]
extern "C" {
    /// Registers the functions that the host calls: at the end of each wait, and for each piece of
    /// a pipe with a filter.
    fn connect(callback: &Callback, filter: &FilterCallback);

    /// The times for which a request or an object waits.
    #[derive(Debug)]
    pub type Timers;
    #[wasm_bindgen(constructor)]
    pub fn new() -> Timers;
    /// Ends the wait at this time, in milliseconds since 1970.
    #[wasm_bindgen(method)]
    pub fn arm(this: &Timers, wait: u32, at: f64);
    /// Cancels [`Timers::arm`].
    #[wasm_bindgen(method)]
    pub fn disarm(this: &Timers, wait: u32);

}

#[wasm_bindgen(module = "/src/edge/host/access.js")]
extern "C" {
    #[wasm_bindgen(js_name = fetchText)]
    fn fetch_text_wait(url: &str, form: Option<String>, within: f64, wait: u32);
    #[wasm_bindgen(js_name = verify)]
    fn verify_wait(modulus: &str, exponent: &str, signed: &str, signature: &[u8], wait: u32);
}

#[wasm_bindgen(module = "/src/edge/host/exchange.js")]
extern "C" {
    /// Writes the record of a request, see
    /// [`Platform::write_record`](crate::serve::platform::Platform::write_record).
    #[wasm_bindgen(js_name = writeRecord)]
    pub fn write_record(env: &Env, record: &str);

    /// A received request.
    #[wasm_bindgen(extends = Timers)]
    #[derive(Debug)]
    pub type Exchange;
    #[wasm_bindgen(constructor)]
    pub fn new(request: &Request) -> Exchange;
    /// Method, URL and headers, as one text.
    #[wasm_bindgen(method)]
    pub fn head(this: &Exchange) -> String;
    #[wasm_bindgen(method, js_name = place)]
    fn place_text(this: &Exchange) -> String;
    #[wasm_bindgen(method, js_name = clientLeft)]
    fn client_left_wait(this: &Exchange, wait: u32);
    /// Whether the runtime records the spans of this request.
    #[wasm_bindgen(method, getter, js_name = isTraced)]
    pub fn is_traced(this: &Exchange) -> bool;
    /// Begins the span of an attempt.
    #[wasm_bindgen(method, js_name = beginSpan)]
    pub fn begin_span(this: &Exchange, attempt: u32, attributes: &str);
    /// Ends the span of an attempt.
    #[wasm_bindgen(method, js_name = endSpan)]
    pub fn end_span(this: &Exchange, attempt: u32, attributes: &str);
    /// Gives the span of the request attributes, and ends the spans of its attempts.
    #[wasm_bindgen(method, js_name = endTrace)]
    pub fn end_trace(this: &Exchange, attributes: &str);
    /// Frees the bytes of the body.
    #[wasm_bindgen(method)]
    pub fn release(this: &Exchange);
    #[wasm_bindgen(method, js_name = read)]
    fn read_wait(this: &Exchange, length: u32, held: u32, late: f64, wait: u32);
    #[wasm_bindgen(method, js_name = readStart)]
    fn read_start_wait(this: &Exchange, most: u32, held: u32, late: f64, wait: u32);
    /// The stream of the bytes that `readStart` did not read.
    #[wasm_bindgen(method)]
    pub fn rest(this: &Exchange) -> ReadableStream;
    /// The bytes of the body from `start` to `end`.
    #[wasm_bindgen(method)]
    pub fn part(this: &Exchange, start: usize, end: usize) -> Vec<u8>;
    /// A new upstream call.
    #[wasm_bindgen(method)]
    pub fn call(this: &Exchange) -> HostCall;

    /// An upstream call.
    #[derive(Debug, Clone)]
    pub type HostCall;
    #[wasm_bindgen(method, js_name = send)]
    fn send_wait(
        this: &HostCall,
        text: &str,
        has_body: bool,
        pieces: &[u32],
        inserted: &[u8],
        most: u32,
        wait: u32,
    );
    #[wasm_bindgen(method, js_name = sendOnce)]
    fn send_once_wait(this: &HostCall, text: &str, first: &[u8], length: f64, most: u32, wait: u32);
    #[wasm_bindgen(method, js_name = breakOff)]
    fn break_off_text(this: &HostCall, headers: &str, first: &[u8]);
    #[wasm_bindgen(method, js_name = findAnswer)]
    fn find_answer_wait(this: &HostCall, key: &str, wait: u32);
    #[wasm_bindgen(method, js_name = uploadEnd)]
    fn upload_end_wait(this: &HostCall, wait: u32);
    #[wasm_bindgen(method, js_name = upload)]
    fn upload_stream(this: &HostCall, length: f64) -> WritableStream;
    #[wasm_bindgen(method, js_name = sendUpload)]
    fn send_upload_wait(this: &HostCall, text: &str, most: u32, wait: u32);
    #[wasm_bindgen(method, js_name = isAnswered)]
    fn has_response(this: &HostCall) -> bool;
    #[wasm_bindgen(method, js_name = stream)]
    fn body(this: &HostCall) -> Option<ReadableStream>;
    #[wasm_bindgen(method, catch, js_name = pass)]
    fn pass_text(this: &HostCall, text: &str, body: &JsValue) -> Result<Response, JsValue>;
    #[wasm_bindgen(method, js_name = abort)]
    fn end(this: &HostCall);

    #[wasm_bindgen(js_name = keepAnswer)]
    fn keep_answer_wait(key: &str, headers: &str, answer: &[u8], wait: u32);
    #[wasm_bindgen(catch, js_name = response)]
    fn response_text(status: u16, headers: &str, body: &JsValue) -> Result<Response, JsValue>;

}

#[wasm_bindgen(module = "/src/edge/host/streams.js")]
extern "C" {
    /// A pipe of bytes inside the runtime: no JavaScript runs for a chunk. Source, section
    /// `IdentityTransformStream`:
    /// <https://developers.cloudflare.com/workers/runtime-apis/streams/transformstream/>
    pub type IdentityTransformStream;
    type Streams;
    #[wasm_bindgen(static_method_of = Streams, js_name = toClient)]
    fn to_client() -> IdentityTransformStream;
    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &IdentityTransformStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub fn writable(this: &IdentityTransformStream) -> WritableStream;

    type Reader;
    #[wasm_bindgen(static_method_of = Streams)]
    fn forget(writable: &WritableStream);
    #[wasm_bindgen(static_method_of = Streams, js_name = chunks)]
    fn chunk_reader(stream: &ReadableStream) -> Reader;
    #[wasm_bindgen(static_method_of = Streams, js_name = gathering)]
    fn gathering_reader(stream: &ReadableStream) -> Reader;
    #[wasm_bindgen(js_name = readChunk)]
    fn read_chunk(reader: &Reader, wait: u32);
    #[wasm_bindgen(js_name = readGathered)]
    fn read_gathered(reader: &Reader, most: u32, wait: u32);
    #[wasm_bindgen(method, js_name = releaseLock)]
    fn release_lock(this: &Reader);
    #[wasm_bindgen(static_method_of = Streams, js_name = cancel)]
    fn cancel_reader(reader: &Reader);
    #[wasm_bindgen(js_name = pipe)]
    fn pipe_wait(
        stream: &ReadableStream,
        client: &WritableStream,
        left_open: bool,
        wait: u32,
    ) -> AbortController;
    #[wasm_bindgen(js_name = pipeFiltered)]
    fn pipe_filtered_wait(stream: &ReadableStream, client: &WritableStream, wait: u32) -> AbortController;
    #[wasm_bindgen(js_name = write)]
    fn write_wait(client: &WritableStream, bytes: &[u8], wait: u32);
    #[wasm_bindgen(js_name = close)]
    fn close_wait(client: &WritableStream, wait: u32);
}

/// The function of this instance that the host calls when a wait ends.
type Callback = Closure<dyn Fn(u32, i32, Option<String>, Option<Vec<u8>>) -> bool>;

/// The function of this instance that the host calls for each piece of a pipe with a filter.
type FilterCallback = Closure<dyn Fn(u32, Vec<u8>, bool) -> Option<Vec<u8>>>;

/// Connects the host module to the waits of this instance.
pub fn connect_waits() {
    let callback: Callback = Closure::new(wait::settle);
    let filter: FilterCallback =
        Closure::new(|wait, piece: Vec<u8>, has_ended| wait::passing(wait, &piece, has_ended));
    connect(&callback, &filter);
    // The closures live as long as the instance.
    callback.forget();
    filter.forget();
}

/// The number as 32 bits, the size in which numbers cross. A larger number becomes the maximum.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A length as it crosses: negative if it is not known.
fn length_or_none(length: Option<usize>) -> f64 {
    length.map_or(-1.0, |length| f64::from(number(length)))
}

impl Exchange {
    /// Where the request comes from (`request.cf`).
    pub fn place(&self) -> Place {
        let text = self.place_text();
        let mut parts = text.split('\n');
        let mut part = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        let (continent, country, colo) = (part(), part(), part());
        let mut degrees = || part()?.parse::<f64>().ok();
        let (latitude, longitude) = (degrees(), degrees());
        Place { continent, country, colo, coordinates: latitude.zip(longitude), ..Place::default() }
    }

    /// Ends when the client leaves before its answer.
    pub async fn client_left(&self) {
        // This wait cannot fail.
        let _ = Wait::begin(|wait| self.client_left_wait(wait)).await;
    }

    /// Reads the whole body and buffers it. `length`: its `content-length` in bytes.
    pub async fn read(&self, length: usize, limits: BodyLimits) -> Result<ReceivedBody, UploadError> {
        let (held, late) = (number(limits.held_bytes), since_epoch(limits.until));
        let settled = read(Wait::begin(|wait| self.read_wait(number(length), held, late, wait))).await?;
        Ok(ReceivedBody { length: settled.code as usize, bytes: settled.bytes })
    }

    /// Reads the body until it ends or exceeds `most` bytes.
    pub async fn read_start(&self, most: usize, limits: BodyLimits) -> Result<BodyStart, UploadError> {
        let (held, late) = (number(limits.held_bytes), since_epoch(limits.until));
        let settled = read(Wait::begin(|wait| self.read_start_wait(number(most), held, late, wait))).await?;
        let bytes = settled.bytes.unwrap_or_default();
        Ok(if settled.code == 0 { BodyStart::Whole(bytes) } else { BodyStart::Long(bytes) })
    }
}

/// Milliseconds since 1970.
pub fn since_epoch(at: Instant) -> f64 {
    (at - Instant::EPOCH).as_f64()
}

/// The result of a read of a body. A text says which of its limits ended it.
async fn read(wait: Wait) -> Result<Settled, UploadError> {
    let settled = wait.await.map_err(UploadError::Broken)?;
    match settled.text.as_deref() {
        None => Ok(settled),
        Some("late") => Err(UploadError::Late),
        Some(_) => Err(UploadError::NoRoom),
    }
}

impl HostCall {
    /// The response for the client. `withheld`: names of headers to remove, each followed by a line
    /// break.
    pub fn pass(&self, withheld: &str, headers: &Headers, body: &JsValue) -> Result<Response, PlatformError> {
        let text = format!("{withheld}\n{}", headers.text());
        self.pass_text(&text, body).map_err(|error| thrown(&error))
    }
}

/// A stream to the client: its writable and its readable end.
pub fn client_stream() -> (ClientEnd, ReadableStream) {
    let stream = Streams::to_client();
    (ClientEnd(stream.writable()), stream.readable())
}

/// The writable end of a stream to the client or to an upstream.
pub struct ClientEnd(WritableStream);

impl Drop for ClientEnd {
    fn drop(&mut self) {
        Streams::forget(&self.0);
    }
}

/// A response of the gateway. `body`: bytes, a stream, or `null`.
pub fn response(status: u16, headers: &Headers, body: &JsValue) -> Result<Response, PlatformError> {
    response_text(status, headers.text(), body).map_err(|error| thrown(&error))
}

/// The answer to a GET, or to the POST of a form, see
/// [`Platform::get`](crate::serve::platform::Platform::get).
pub async fn fetch_text(
    url: &str,
    form: Option<String>,
    within: Millis,
) -> Result<(u16, String), PlatformError> {
    let answered = Wait::begin(|wait| fetch_text_wait(url, form, within.as_f64(), wait)).await?;
    Ok((u16::try_from(answered.code).unwrap_or(u16::MAX), answered.text.unwrap_or_default()))
}

/// Whether a signature with RS256 is that of a key, see
/// [`Platform::is_signed`](crate::serve::platform::Platform::is_signed).
pub async fn is_signed(key: &AccessKey, signed: &str, signature: &[u8]) -> Result<bool, PlatformError> {
    let ask = |wait| verify_wait(&key.modulus, &key.exponent, signed, signature, wait);
    Ok(Wait::begin(ask).await?.code == 1)
}

/// Keeps an answer, see [`Platform::keep_answer`](crate::serve::platform::Platform::keep_answer).
pub async fn keep_answer(key: &str, headers: &Headers, answer: &[u8]) -> Result<(), PlatformError> {
    Wait::begin(|wait| keep_answer_wait(key, headers.text(), answer, wait)).await.map(drop)
}

/// The error for a value that JavaScript has thrown.
pub fn thrown(error: &JsValue) -> PlatformError {
    let message = js_sys::Reflect::get(error, &"message".into()).ok().and_then(|text| text.as_string());
    PlatformError::new(message.or_else(|| error.as_string()).unwrap_or_else(|| "unknown error".to_owned()))
}

impl PlatformCall for HostCall {
    type Stream = ReadableStream;
    type Upload = ClientEnd;

    fn upload(&self, length: Option<usize>) -> ClientEnd {
        ClientEnd(self.upload_stream(length_or_none(length)))
    }

    async fn send(&self, request: OutgoingRequest) -> Result<ResponseHead, PlatformError> {
        let OutgoingRequest { url, method, withheld, headers, body, read_up_to } = request;
        let text = format!("{url}\n{method}\n{withheld}\n{}", headers.text());
        let most = number(read_up_to);
        let sent = Wait::begin(|wait| match body {
            OutgoingBody::Empty => self.send_wait(&text, false, &[], &[], most, wait),
            OutgoingBody::AsReceived => self.send_wait(&text, true, &[], &[], most, wait),
            OutgoingBody::Edited(splice) => {
                let (pieces, inserted) = numbers(splice);
                self.send_wait(&text, true, &pieces, &inserted, most, wait);
            }
            OutgoingBody::Once { first, length } => {
                self.send_once_wait(&text, &first, length_or_none(length), most, wait);
            }
            OutgoingBody::Upload => self.send_upload_wait(&text, most, wait),
        });
        let settled = sent.await?;
        Ok(ResponseHead {
            status: u16::try_from(settled.code).unwrap_or(u16::MAX),
            headers: Headers::parse(settled.text.unwrap_or_default()),
            body: settled.bytes,
        })
    }

    async fn find_answer(&self, key: &str) -> Result<Option<Headers>, PlatformError> {
        let found = Wait::begin(|wait| self.find_answer_wait(key, wait)).await?;
        Ok(found.text.map(Headers::parse))
    }

    fn break_off(&self, headers: &Headers, first: &[u8]) {
        self.break_off_text(headers.text(), first);
    }

    async fn upload_end(self) {
        // This wait cannot fail.
        let _ = Wait::begin(|wait| self.upload_end_wait(wait)).await;
    }

    fn is_answered(&self) -> bool {
        self.has_response()
    }

    fn stream(&self) -> Option<ReadableStream> {
        self.body()
    }

    fn abort(&self) {
        self.end();
    }
}

/// A splice in the form in which it crosses: three numbers for each piece, and the inserted bytes.
/// The numbers are the source (0: the received body, 1: the inserted bytes), the begin and the end.
fn numbers(splice: Splice) -> (Vec<u32>, Vec<u8>) {
    let pieces = splice.pieces().iter().flat_map(|piece| match piece {
        Piece::Original(span) => [0, number(span.start), number(span.end)],
        Piece::Inserted(span) => [1, number(span.start), number(span.end)],
    });
    (pieces.collect(), splice.into_inserted())
}

impl ByteStream for ReadableStream {
    type Client = ClientEnd;
    type Reader = StreamReader;
    type Pipe = StreamPipe;

    fn tee(self) -> (Self, Self) {
        let branches = ReadableStream::tee(&self);
        (branches.get(0).unchecked_into(), branches.get(1).unchecked_into())
    }

    fn chunks(&self) -> StreamReader {
        StreamReader { reader: Streams::chunk_reader(self), is_gathering: false }
    }

    fn reader(&self) -> StreamReader {
        StreamReader { reader: Streams::gathering_reader(self), is_gathering: true }
    }

    fn pipe(&self, client: &ClientEnd, end: PipeEnd) -> StreamPipe {
        let mut controller = None;
        let wait = Wait::begin(|wait| {
            controller = Some(pipe_wait(self, &client.0, end == PipeEnd::LeftOpen, wait));
        });
        StreamPipe { wait, controller }
    }

    fn pipe_filtered(&self, client: &ClientEnd, filter: UsageFilter) -> StreamPipe {
        let mut controller = None;
        let wait = Wait::begin(|wait| {
            controller = Some(pipe_filtered_wait(self, &client.0, wait));
        });
        // The first bytes come in a later task of the runtime.
        wait.filter(filter);
        StreamPipe { wait, controller }
    }
}

/// Reads a stream.
pub struct StreamReader {
    reader: Reader,
    is_gathering: bool,
}

impl ByteReader for StreamReader {
    async fn read(&self, most: usize) -> Result<Option<Vec<u8>>, PlatformError> {
        let piece = Wait::begin(|wait| {
            if self.is_gathering {
                read_gathered(&self.reader, number(most), wait);
            } else {
                read_chunk(&self.reader, wait);
            }
        });
        Ok(piece.await?.bytes)
    }

    fn release(&self) {
        self.reader.release_lock();
    }

    fn cancel(&self) {
        Streams::cancel_reader(&self.reader);
    }
}

/// A running pipe.
pub struct StreamPipe {
    wait: Wait,
    controller: Option<AbortController>,
}

impl Future for StreamPipe {
    type Output = Result<(), PlatformError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.wait).poll(context).map(|ended| ended.map(drop))
    }
}

impl Pipe for StreamPipe {
    fn cut(&self) {
        if let Some(controller) = &self.controller {
            controller.abort();
        }
    }
}

impl ClientStream for ClientEnd {
    async fn send(&self, bytes: &[u8]) -> Result<(), PlatformError> {
        Wait::begin(|wait| write_wait(&self.0, bytes, wait)).await.map(drop)
    }

    async fn close(&self) -> Result<(), PlatformError> {
        Wait::begin(|wait| close_wait(&self.0, wait)).await.map(drop)
    }
}

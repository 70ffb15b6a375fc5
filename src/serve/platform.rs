//! The platform as traits: everything that serving a request needs from it. The Worker implements
//! them (`edge`), and the fakes of the native tests implement them too.
//!
//! A platform moves bytes and decides nothing. Each method is one coarse step, because every call
//! from Wasm to JavaScript has a price (docs/benchmarks.md). No method panics. If the platform
//! cannot do something, it returns a [`PlatformError`].

use std::fmt;

use super::isolate_memory::Isolate;
use crate::request::access_keys::AccessKey;
use crate::request::splice::Splice;
use crate::stream::usage_filter::UsageFilter;
use crate::vocabulary::facts::Place;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::{Instant, Millis};

/// An error of the platform, with the platform's own message. The message is only for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformError(String);

impl PlatformError {
    /// An error with the message of the platform.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for PlatformError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for PlatformError {}

/// A document in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredText {
    /// Its text.
    pub text: String,
    /// What the registry has written beside it.
    pub note: Option<String>,
}

impl From<String> for StoredText {
    fn from(text: String) -> Self {
        Self { text, note: None }
    }
}

/// The clock and the timers of a platform.
pub trait Clock {
    /// The current time. It does not advance between two waits.
    fn now(&self) -> Instant;
    /// Waits until this time.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()>;
}

/// The Durable Objects that share health between isolates.
pub trait Objects {
    /// The answer of the Durable Object with this name: status and text. With a `body` the request
    /// is a POST, without one a GET. `near`: the location hint for an object that does not exist
    /// yet.
    fn ask_object(
        &self,
        object: &str,
        near: Option<&str>,
        path: &str,
        body: Option<String>,
    ) -> impl Future<Output = Result<(u16, String), PlatformError>>;
}

/// The platform, as one request sees it. Clones are cheap and refer to the same request.
pub trait Platform: Clock + Objects + Clone + 'static {
    /// An upstream call.
    type Call: PlatformCall<Stream = Self::Stream>;
    /// The body of an upstream's response.
    type Stream: ByteStream<Client = Self::Client>;
    /// The writable end of a stream to the client.
    type Client: ClientStream;
    /// The readable end of that stream, for the response.
    type ClientBody: 'static;

    /// The state of the isolate between requests.
    fn isolate(&self) -> &Isolate;

    /// Random bytes from the platform's secure source, as a seed for a generator.
    fn seed(&self) -> [u8; 32];
    /// 64 random bits from the isolate's generator, which is a secure one.
    fn random(&self) -> u64 {
        self.isolate().random(|| self.seed())
    }
    /// Writes a warning to the log.
    fn warn(&self, line: &str);
    /// Whether there is a binding for data points.
    fn has_metrics(&self) -> bool;
    /// Writes the record of a request. `record`: the line for the log, empty if there is none. If
    /// it has a line break, the data point follows, in the form of
    /// [`append_data_point`](crate::telemetry::data_point::append_data_point).
    fn write_record(&self, record: &str);
    /// Whether the platform records the spans of this request.
    fn is_traced(&self) -> bool;
    /// Begins the span of an attempt. `attributes`: a JSON object, with the `name` of the span.
    fn begin_span(&self, attempt: u32, attributes: &str);
    /// Ends the span of an attempt, with further attributes.
    fn end_span(&self, attempt: u32, attributes: &str);
    /// Gives the span of the request these attributes, and ends the spans of its attempts.
    fn end_trace(&self, attributes: &str);
    /// The number of running tasks and open waits of this isolate.
    fn work(&self) -> Work;
    /// Runs `work` beside the request. It can continue after the request has ended.
    fn in_background(&self, work: impl Future<Output = ()> + 'static);

    /// A variable or secret; `None` if it is absent or empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// Whether there is a binding of this name to a secret of Cloudflare's Secrets Store.
    fn has_secret(&self, name: &str) -> bool;
    /// The value of such a secret; `None` if the store has none.
    fn read_secret(&self, name: &str) -> impl Future<Output = Result<Option<String>, PlatformError>>;
    /// A document in the store. `None` if the store does not have it, or if there is no
    /// store.
    fn read_document(&self, key: &str) -> impl Future<Output = Result<Option<StoredText>, PlatformError>>;
    /// Writes a document. Without a store, this fails.
    fn write_document(&self, key: &str, text: &str) -> impl Future<Output = Result<(), PlatformError>>;

    /// Sends a POST that belongs to no request, and returns the status of its answer, of which
    /// nothing else is read. No redirect is followed. If the future is dropped, the call ends.
    fn post(
        &self,
        url: &str,
        headers: &Headers,
        body: String,
    ) -> impl Future<Output = Result<u16, PlatformError>>;

    /// The answer to a GET that belongs to no request: status and text. No redirect is followed. It
    /// fails if it takes longer than `within`.
    fn get(&self, url: &str, within: Millis) -> impl Future<Output = Result<(u16, String), PlatformError>>;
    /// The answer to a POST of a form that belongs to no request: status and text. No redirect is
    /// followed. It fails if it takes longer than `within`.
    fn send_form(
        &self,
        url: &str,
        form: String,
        within: Millis,
    ) -> impl Future<Output = Result<(u16, String), PlatformError>>;
    /// Whether a signature with RS256 of a text is that of a public key.
    fn is_signed(
        &self,
        key: &AccessKey,
        signed: &str,
        signature: &[u8],
    ) -> impl Future<Output = Result<bool, PlatformError>>;

    /// Whether there is a binding to the registry.
    fn has_registry(&self) -> bool;
    /// The answer of the registry to a POST: status and text.
    fn ask_registry(
        &self,
        path: &str,
        body: String,
    ) -> impl Future<Output = Result<(u16, String), PlatformError>>;

    /// The answer of the ledger with this name to a POST: status and text. Without a binding, this
    /// fails.
    fn ask_ledger(
        &self,
        ledger: &str,
        path: &str,
        body: String,
    ) -> impl Future<Output = Result<(u16, String), PlatformError>>;

    /// Whether there is a binding to the [`Objects`].
    fn has_objects(&self) -> bool;

    /// Where the request comes from, according to the platform: country, data centre, coordinates.
    fn place(&self) -> Place;
    /// Reads the whole body and buffers it. `length`: its `content-length` in bytes (0: unknown).
    /// The buffer grows with the bytes that arrive, because a stated length may never come.
    fn read_body(
        &self,
        length: usize,
        limits: BodyLimits,
    ) -> impl Future<Output = Result<ReceivedBody, UploadError>>;
    /// Reads the body until it ends or exceeds `most` bytes. Buffers the whole body, or holds the
    /// unread rest of a longer one.
    fn read_body_start(
        &self,
        most: usize,
        limits: BodyLimits,
    ) -> impl Future<Output = Result<BodyStart, UploadError>>;
    /// A reader of the bytes that follow [`BodyStart::Long`].
    fn body_rest(&self) -> <Self::Stream as ByteStream>::Reader;
    /// The bytes `start..end` of the buffered body.
    fn body_part(&self, start: usize, end: usize) -> Vec<u8>;

    /// Keeps an answer in the cache of this data centre. `headers`: those of the entry, with its
    /// `cache-control`.
    fn keep_answer(
        &self,
        key: &str,
        headers: &Headers,
        answer: &[u8],
    ) -> impl Future<Output = Result<(), PlatformError>>;

    /// Ends when the client leaves. The platform always notices this before the answer. During a
    /// streamed answer it notices at the latest with the next write.
    fn client_left(&self) -> impl Future<Output = ()>;
    /// Frees the bytes of the body, and stops reading it. No call is sent afterwards.
    fn release_body(&self);
    /// A new upstream call.
    fn call(&self) -> Self::Call;
    /// A stream to the client.
    fn client_stream(&self) -> (Self::Client, Self::ClientBody);
}

/// The running work of an isolate: requests and background tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Requests and background tasks that have not ended.
    pub tasks: usize,
    /// Waits for the platform that have not ended.
    pub waits: usize,
}

/// The limits within which a request body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// When reading ends.
    pub until: Instant,
    /// The most bytes that the bodies of all requests of this isolate hold together.
    pub held_bytes: usize,
}

/// Why a request body was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadError {
    /// It broke off.
    Broken(PlatformError),
    /// It did not arrive in time.
    Late,
    /// The bodies of the isolate hold too many bytes together.
    NoRoom,
}

/// A request body that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedBody {
    /// The length in bytes.
    pub length: usize,
    /// The bytes of a short body. For a long body it is `None`, and [`Platform::body_part`] returns
    /// the bytes.
    pub bytes: Option<Vec<u8>>,
}

/// The start of a request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStart {
    /// The whole body. It does not exceed the limit.
    Whole(Vec<u8>),
    /// The first bytes, more than the limit. The rest can be sent once.
    Long(Vec<u8>),
}

/// A request to an upstream.
#[derive(Debug)]
pub struct OutgoingRequest {
    /// The whole URL.
    pub url: String,
    /// The method.
    pub method: String,
    /// Names of the client's headers that are not sent, each followed by a line break.
    pub withheld: String,
    /// Headers to set in addition. They override those of the client.
    pub headers: Headers,
    /// The body to send.
    pub body: OutgoingBody,
    /// A JSON response with a `content-length` up to this number of bytes is read at once.
    pub read_up_to: usize,
}

/// The body of a request to an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingBody {
    /// No body.
    Empty,
    /// The client's body as it was received.
    AsReceived,
    /// The client's body with an edit. One without a piece of that body needs none.
    Edited(Splice),
    /// These bytes, then the rest that follows [`BodyStart::Long`].
    Once {
        /// The first bytes.
        first: Vec<u8>,
        /// The length of both parts in bytes, if it is known.
        length: Option<usize>,
    },
    /// What is written to [`PlatformCall::upload`].
    Upload,
}

/// Status and headers of an upstream's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body, if it was read at once.
    pub body: Option<Vec<u8>>,
}

/// An upstream call. Clones refer to the same call.
pub trait PlatformCall: Clone + 'static {
    /// The body of its response.
    type Stream;
    /// The writable end of a stream that the call sends.
    type Upload: ClientStream;
    /// A stream for [`OutgoingBody::Upload`], made before [`Self::send`]. `length`: its length in
    /// bytes, if it is known.
    fn upload(&self, length: Option<usize>) -> Self::Upload;
    /// Sends the request, and waits for the response. Dropping the future does not end the call.
    fn send(&self, request: OutgoingRequest) -> impl Future<Output = Result<ResponseHead, PlatformError>>;
    /// Has an answer that was kept under this key as its response, whose body counts as read at
    /// once. Returns the headers of the entry; `None` if there is none, and no response either.
    fn find_answer(&self, key: &str) -> impl Future<Output = Result<Option<Headers>, PlatformError>>;
    /// Has a response without a request: status 200, these headers, and a body that breaks off
    /// after `first`.
    fn break_off(&self, headers: &Headers, first: &[u8]);
    /// Ends when the body of [`OutgoingBody::Once`] was sent, or cannot be sent to its end. It is
    /// awaited after [`Self::send`] has begun.
    fn upload_end(self) -> impl Future<Output = ()> + 'static;
    /// Whether the headers have arrived. At that time [`Self::send`] may still read the body.
    fn is_answered(&self) -> bool;
    /// The body of the response, if it has one.
    fn stream(&self) -> Option<Self::Stream>;
    /// Ends the call in any state.
    fn abort(&self);
}

/// The body of an upstream's response, as it arrives.
pub trait ByteStream: Sized + 'static {
    /// The stream to the client that this stream can be piped to.
    type Client;
    /// The reader of this stream.
    type Reader: ByteReader;
    /// The pipe from this stream to the client.
    type Pipe: Pipe;
    /// Two branches with the same bytes. Bytes that only one branch has read are buffered.
    fn tee(self) -> (Self, Self);
    /// A reader that returns chunks as they arrive.
    fn chunks(&self) -> Self::Reader;
    /// A reader that returns the bytes that have arrived in a few large pieces.
    fn reader(&self) -> Self::Reader;
    /// Pipes the bytes to the client. With [`PipeEnd::LeftOpen`] the client's side stays open at
    /// the end.
    fn pipe(&self, client: &Self::Client, end: PipeEnd) -> Self::Pipe;
    /// Pipes what passes a filter to the client, whose side stays open at the end. Each piece
    /// passes when it has arrived. If the stream breaks, what the filter withholds is lost.
    fn pipe_filtered(&self, client: &Self::Client, filter: UsageFilter) -> Self::Pipe;
}

/// What a pipe does with the client's side when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeEnd {
    /// Closes it. If the stream broke, breaks it off.
    Passed,
    /// Leaves it open.
    LeftOpen,
}

/// A running pipe. It ends when the stream ends, or with an error when either side breaks.
pub trait Pipe: Future<Output = Result<(), PlatformError>> + Unpin {
    /// Ends the pipe.
    fn cut(&self);
}

/// Reads a stream. It locks the stream until it is released.
pub trait ByteReader: 'static {
    /// The next piece; `None` at the end. A reader that gathers pieces returns at most `most`
    /// bytes.
    fn read(&self, most: usize) -> impl Future<Output = Result<Option<Vec<u8>>, PlatformError>>;
    /// Unlocks the stream.
    fn release(&self);
    /// Stops reading. If no other branch is read, this ends the stream.
    fn cancel(&self);
}

/// The writable end of a stream, to the client or to an upstream. An error means that nobody reads
/// it any more.
pub trait ClientStream: 'static {
    /// Writes bytes, and waits until the platform accepts them.
    fn send(&self, bytes: &[u8]) -> impl Future<Output = Result<(), PlatformError>>;
    /// Ends the stream cleanly.
    fn close(&self) -> impl Future<Output = Result<(), PlatformError>>;
}

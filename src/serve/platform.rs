//! What serving a request needs of the platform, as traits: the Worker implements them (`edge`), and so
//! do the fakes of the native tests.
//!
//! A platform moves bytes and decides nothing. Each method is one coarse step, because every call from
//! Wasm to JavaScript has a price (docs/benchmarks.md). No method panics; what the platform cannot do is a
//! [`PlatformError`].

use std::fmt;

use super::isolate_memory::Isolate;
use crate::request::splice::Splice;
use crate::vocabulary::facts::Place;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Instant;

/// What the platform could not do: its own words, for logs alone.
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

/// The clock and the waits of a platform.
pub trait Clock {
    /// Now. It stands still between two waits.
    fn now(&self) -> Instant;
    /// Ends at that time.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()>;
}

/// The objects that share what isolates learn about health.
pub trait Objects {
    /// What the object of that name answers to a POST of `body`, or to a GET: status and text. `near`: the
    /// location hint for an object that does not exist yet.
    fn ask_object(
        &self,
        object: &str,
        near: Option<&str>,
        path: &str,
        body: Option<String>,
    ) -> impl Future<Output = Result<(u16, String), PlatformError>>;
}

/// The platform, as one request sees it. Clones are cheap and mean the same request.
pub trait Platform: Clock + Objects + Clone + 'static {
    /// A call of an upstream.
    type Call: PlatformCall<Stream = Self::Stream>;
    /// The body of an upstream's response.
    type Stream: ByteStream<Client = Self::Client>;
    /// The writable end of a stream to the client.
    type Client: ClientStream;
    /// The readable end of it, for the response.
    type ClientBody: 'static;

    /// What the isolate remembers between requests.
    fn isolate(&self) -> &Isolate;

    /// 64 random bits, to seed a generator with.
    fn seed(&self) -> u64;
    /// 64 random bits of the isolate's generator.
    fn random(&self) -> u64 {
        self.isolate().random(|| self.seed())
    }
    /// Writes a line to the log.
    fn warn(&self, line: &str);
    /// What this isolate has under way.
    fn work(&self) -> Work;
    /// Goes on beside the request, and after it.
    fn in_background(&self, work: impl Future<Output = ()> + 'static);

    /// A variable or secret; `None` where it is absent or empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// A document of the store: its text, or `None` where the store has none. Without a store, `None`.
    fn read_document(&self, key: &str) -> impl Future<Output = Result<Option<String>, PlatformError>>;
    /// Writes a document. Without a store, nothing happens.
    fn write_document(&self, key: &str, text: &str) -> impl Future<Output = Result<(), PlatformError>>;

    /// Whether there is a binding to the [`Objects`].
    fn has_objects(&self) -> bool;

    /// Where the request comes from, as the platform knows: country, data centre, coordinates.
    fn place(&self) -> Place;
    /// Reads the whole body, of `length` bytes as its header says (0: unknown), and keeps it.
    fn read_body(&self, length: usize) -> impl Future<Output = Result<ReceivedBody, PlatformError>>;
    /// Reads the body until it ends or `limit` bytes are exceeded, and keeps it, or what follows.
    fn read_body_start(&self, limit: usize) -> impl Future<Output = Result<BodyStart, PlatformError>>;
    /// The bytes `start..end` of the body that is kept.
    fn body_part(&self, start: usize, end: usize) -> Vec<u8>;

    /// Ends when the client leaves, as far as the platform notices: before the answer always, and while it streams at the
    /// latest with the next write.
    fn client_left(&self) -> impl Future<Output = ()>;
    /// A new call of an upstream.
    fn call(&self) -> Self::Call;
    /// A stream to the client.
    fn client_stream(&self) -> (Self::Client, Self::ClientBody);
}

/// What an isolate has under way: requests, and what goes on beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Requests and background tasks that have not ended.
    pub tasks: usize,
    /// Waits for the platform that have not ended.
    pub waits: usize,
}

/// A request body that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedBody {
    /// How many bytes it has.
    pub length: usize,
    /// The bytes, where they are few. The rest is to be had by [`Platform::body_part`].
    pub bytes: Option<Vec<u8>>,
}

/// The start of a request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStart {
    /// The whole body, which ended within the limit.
    Whole(Vec<u8>),
    /// Its first bytes, more than the limit. The rest can be sent once.
    Long(Vec<u8>),
}

/// A request to an upstream.
#[derive(Debug)]
pub struct OutgoingRequest {
    /// The whole URL.
    pub url: String,
    /// The method.
    pub method: String,
    /// Names of the client's headers that are not sent, each with a line break behind it.
    pub withheld: String,
    /// Headers to set over those of the client.
    pub headers: Headers,
    /// What to send.
    pub body: OutgoingBody,
    /// JSON that says that it is not longer than this is read at once.
    pub read_up_to: usize,
}

/// The body of a request to an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingBody {
    /// None.
    Empty,
    /// The client's body as it was received.
    AsReceived,
    /// The client's body with an edit.
    Edited(Splice),
    /// These bytes, then what follows [`BodyStart::Long`]. `length`: of both, where it is known.
    Once {
        /// What comes first.
        first: Vec<u8>,
        /// In bytes.
        length: Option<usize>,
    },
}

/// Status and headers of an upstream's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body, where it was read at once.
    pub body: Option<Vec<u8>>,
}

/// A call of an upstream. Clones mean the same call.
pub trait PlatformCall: Clone + 'static {
    /// The body of its response.
    type Stream;
    /// Sends the request, and waits for the response. Dropped, the future does not end the call.
    fn send(&self, request: OutgoingRequest) -> impl Future<Output = Result<ResponseHead, PlatformError>>;
    /// Whether the headers have arrived, while [`Self::send`] may still read the body.
    fn is_answered(&self) -> bool;
    /// The body of the response, if it has one.
    fn stream(&self) -> Option<Self::Stream>;
    /// Ends the call, wherever it stands.
    fn abort(&self);
}

/// The body of an upstream's response, as it arrives.
pub trait ByteStream: Sized + 'static {
    /// Where it can be piped to.
    type Client;
    /// Reads it in pieces.
    type Reader: ByteReader;
    /// Carries it to the client.
    type Pipe: Pipe;
    /// Two branches with the same bytes. What one of them has not read is buffered.
    fn tee(self) -> (Self, Self);
    /// Reads chunks as they come.
    fn chunks(&self) -> Self::Reader;
    /// Reads what has arrived in few large pieces.
    fn reader(&self) -> Self::Reader;
    /// Carries the bytes to the client. With [`PipeEnd::Kept`] the client's side stays open at the end.
    fn pipe(&self, client: &Self::Client, end: PipeEnd) -> Self::Pipe;
}

/// What a pipe does with the client's side when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeEnd {
    /// Closes it, or breaks it off where the stream broke.
    Passed,
    /// Leaves it as it is.
    Kept,
}

/// A pipe at work: it ends when the stream does, or with an error where either side breaks.
pub trait Pipe: Future<Output = Result<(), PlatformError>> + Unpin {
    /// Ends it.
    fn cut(&self);
}

/// Reads a stream, which belongs to it until it is released.
pub trait ByteReader: 'static {
    /// The next piece, of at most `most` bytes where pieces are gathered; `None` at the end.
    fn read(&self, most: usize) -> impl Future<Output = Result<Option<Vec<u8>>, PlatformError>>;
    /// Gives the stream free again.
    fn release(&self);
    /// Reads no more of it, and ends it where no other branch is read.
    fn cancel(&self);
}

/// The writable end of a stream to the client. Errors mean that the client has left.
pub trait ClientStream: 'static {
    /// Writes bytes, and waits until they are on their way.
    fn send(&self, bytes: &[u8]) -> impl Future<Output = Result<(), PlatformError>>;
    /// Ends the stream cleanly.
    fn close(&self) -> impl Future<Output = Result<(), PlatformError>>;
}

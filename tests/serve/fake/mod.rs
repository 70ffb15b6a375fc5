//! A fake platform in virtual time: upstreams that follow a script, a client that may leave or not
//! read, and a clock that jumps to the next timer.
//!
//! Every wait is counted, so a test can assert that a request leaves nothing behind.

mod bench;
mod cache;
mod client;
mod ledgers;
mod objects;
mod registry;
mod upstream;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures::executor::LocalSpawner;
use futures::task::LocalSpawnExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use switchyard::request::access_keys::AccessKey;
use switchyard::serve::isolate_memory::Isolate;
use switchyard::serve::platform::{
    BodyLimits, BodyStart, ByteStream, Clock, Objects, Platform, PlatformError, ReceivedBody, StoredText,
    UploadError, Work,
};
use switchyard::vocabulary::facts::Place;
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::time::{Instant, Millis};

pub use bench::{Answer, Bench, Body};
use cache::FakeCache;
use client::FakeClient;
use ledgers::FakeLedgers;
use objects::FakeObjects;
use registry::FakeRegistry;
use upstream::{CallState, FakeCall, FakeReader, FakeStream};
pub use upstream::{Script, Step, sent_body};

/// The state of one test.
#[derive(Default)]
struct World {
    now: Cell<Instant>,
    timers: RefCell<BTreeMap<(Instant, usize), Waker>>,
    timer_count: Cell<usize>,
    open: Cell<usize>,
    log: RefCell<Vec<String>>,
    /// The records of the requests, as the log has them.
    records: RefCell<Vec<Value>>,
    points: RefCell<Vec<String>>,
    is_traced: Cell<bool>,
    /// The beginnings and ends of spans, with their attributes.
    spans: RefCell<Vec<String>>,
    scripts: RefCell<VecDeque<Script>>,
    calls: RefCell<Vec<Rc<CallState>>>,
    documents: RefCell<BTreeMap<String, Result<String, PlatformError>>>,
    /// What stands beside documents.
    notes: RefCell<BTreeMap<String, String>>,
    /// How long a read of a document takes; `None`: it never ends.
    store_delay: Cell<Option<Millis>>,
    /// The documents that were read, in order.
    reads: RefCell<Vec<String>>,
    variables: RefCell<BTreeMap<String, String>>,
    body: RefCell<RequestScript>,
    client_leaves_at: Cell<Option<Instant>>,
    /// How long a client takes to read each piece of an answer.
    client_reads_for: Cell<Millis>,
    /// The pipes that had a filter.
    filtered_pipes: Cell<usize>,
    /// The Durable Objects, if there is a binding to them.
    objects: RefCell<Option<Rc<FakeObjects>>>,
    /// The registry, if there is a binding to it.
    registry: RefCell<Option<Rc<FakeRegistry>>>,
    /// The ledgers of limits.
    ledgers: Rc<FakeLedgers>,
    /// Whether the store refuses writes.
    refuses_writes: Cell<bool>,
    /// What was sent with [`Platform::post`].
    posts: RefCell<Vec<Post>>,
    /// What addresses answer to a GET; `None`: nothing, ever. Others cannot be reached.
    pages: RefCell<BTreeMap<String, Option<(u16, String)>>>,
    /// The addresses of all GETs.
    gets: RefCell<Vec<String>>,
    /// The cache of answers.
    cache: FakeCache,
    /// The secrets of the store, by the names of their bindings; `None`: the store does not answer.
    secrets: RefCell<BTreeMap<String, Option<String>>>,
    /// The secrets that were read, in order.
    secret_reads: RefCell<Vec<String>>,
    /// What was sent with [`Platform::send_form`].
    forms: RefCell<Vec<Post>>,
    /// How the next forms are answered. Further ones cannot be sent.
    form_answers: RefCell<VecDeque<FormAnswer>>,
    /// How the next posts are answered. Further ones are answered with status 200.
    post_answers: RefCell<VecDeque<PostAnswer>>,
}

impl World {
    fn stored(&self, key: &str) -> Result<Option<StoredText>, PlatformError> {
        let text = self.documents.borrow().get(key).cloned().transpose()?;
        Ok(text.map(|text| StoredText { text, note: self.notes.borrow().get(key).cloned() }))
    }

    fn store(&self, key: &str, text: Option<&str>, note: Option<&str>) -> Result<(), PlatformError> {
        if self.refuses_writes.get() {
            return Err(PlatformError::new("KV takes one write a second"));
        }
        self.documents.borrow_mut().remove(key);
        self.notes.borrow_mut().remove(key);
        if let Some(text) = text {
            self.documents.borrow_mut().insert(key.to_owned(), Ok(text.to_owned()));
        }
        if let Some(note) = note {
            self.notes.borrow_mut().insert(key.to_owned(), note.to_owned());
        }
        Ok(())
    }
}

/// How a form is answered: after which time, and with what; `None`: not in time.
pub type FormAnswer = (Millis, Option<(u16, String)>);

/// A POST that belongs to no request.
#[derive(Debug, Clone)]
pub struct Post {
    pub at: Instant,
    pub url: String,
    pub headers: Headers,
    pub body: String,
}

/// What a key of this modulus makes of a text, in place of RSA: the platform has that.
pub fn fake_signature(modulus: &str, text: &str) -> Vec<u8> {
    Sha256::digest([modulus, "\n", text].concat()).to_vec()
}

/// How a receiver answers a POST.
#[derive(Debug, Clone, Copy)]
pub enum PostAnswer {
    Status(u16),
    Unreachable,
    Never,
}

/// The length of a piece of the rest of a body, in bytes.
const REST_PIECE: usize = 1_000;

#[derive(Default, Clone)]
struct RequestScript {
    /// Headers that are added.
    headers: String,
    bytes: Vec<u8>,
    hangs: bool,
    breaks: bool,
    /// How long it takes to arrive.
    takes: Millis,
    /// The bytes that the bodies of other requests hold.
    held_by_others: usize,
    is_released: bool,
    /// Where [`BodyStart::Long`] ended.
    rest_from: usize,
    /// The pieces after which the rest breaks off.
    rest_breaks_after: Option<usize>,
    /// How long each piece of the rest takes to arrive.
    rest_pause: Millis,
}

/// The platform for one test.
#[derive(Clone)]
pub struct Fake {
    world: Rc<World>,
    isolate: Rc<Isolate>,
    spawner: LocalSpawner,
}

/// Counts a wait until it is dropped.
struct OpenWait(Rc<World>);

impl Fake {
    fn wait(&self) -> OpenWait {
        self.world.open.set(self.world.open.get() + 1);
        OpenWait(Rc::clone(&self.world))
    }

    async fn at(&self, at: Instant) {
        let _open = self.wait();
        let number = self.world.timer_count.get() + 1;
        self.world.timer_count.set(number);
        let timer = Timer { world: &self.world, key: (at, number) };
        poll_fn(|context| {
            if self.world.now.get() >= at {
                return Poll::Ready(());
            }
            self.world.timers.borrow_mut().insert(timer.key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The body, as its script says.
    async fn upload(&self, limits: BodyLimits) -> Result<Vec<u8>, UploadError> {
        let RequestScript { bytes, hangs, breaks, takes, held_by_others, .. } =
            self.world.body.borrow().clone();
        let ends_at = if hangs { Instant::MAX } else { self.now() + takes };
        if ends_at > limits.until {
            self.at(limits.until).await;
            return Err(UploadError::Late);
        }
        self.at(ends_at).await;
        if breaks {
            return Err(UploadError::Broken(PlatformError::new("the connection was lost")));
        }
        if held_by_others + bytes.len() > limits.held_bytes {
            return Err(UploadError::NoRoom);
        }
        Ok(bytes)
    }

    /// When the platform has read the rest of the body, if it begins now.
    fn rest_ends_at(&self) -> Instant {
        let body = self.world.body.borrow();
        let rest = body.bytes.len().saturating_sub(body.rest_from);
        self.now() + body.rest_pause * (rest.div_ceil(REST_PIECE) as u64)
    }

    async fn never<T>(&self) -> T {
        let _open = self.wait();
        std::future::pending().await
    }
}

/// A timer. Dropping it cancels it.
struct Timer<'a> {
    world: &'a World,
    key: (Instant, usize),
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.world.timers.borrow_mut().remove(&self.key);
    }
}

impl Drop for OpenWait {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl Clock for Fake {
    fn now(&self) -> Instant {
        self.world.now.get()
    }

    async fn sleep_until(&self, at: Instant) {
        self.at(at).await;
    }
}

impl Objects for Fake {
    async fn ask_object(
        &self,
        object: &str,
        _: Option<&str>,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), PlatformError> {
        let objects = self.world.objects.borrow().clone();
        let objects = objects.ok_or_else(|| PlatformError::new("there is no object here"))?;
        objects.ask(self, object, path, body).await
    }
}

impl Platform for Fake {
    type Call = FakeCall;
    type Stream = FakeStream;
    type Client = FakeClient;
    type ClientBody = FakeClient;

    fn isolate(&self) -> &Isolate {
        &self.isolate
    }

    fn seed(&self) -> [u8; 32] {
        [7; 32]
    }

    fn warn(&self, line: &str) {
        self.world.log.borrow_mut().push(line.to_owned());
    }

    fn is_traced(&self) -> bool {
        self.world.is_traced.get()
    }

    fn begin_span(&self, attempt: u32, attributes: &str) {
        self.world.spans.borrow_mut().push(format!("begin {attempt} {attributes}"));
    }

    fn end_span(&self, attempt: u32, attributes: &str) {
        self.world.spans.borrow_mut().push(format!("end {attempt} {attributes}"));
    }

    fn end_trace(&self, attributes: &str) {
        self.world.spans.borrow_mut().push(format!("end {attributes}"));
    }

    fn has_metrics(&self) -> bool {
        true
    }

    fn write_record(&self, record: &str) {
        let (line, point) = record.split_once('\n').unwrap();
        if !line.is_empty() {
            self.world.records.borrow_mut().push(serde_json::from_str(line).unwrap());
        }
        self.world.points.borrow_mut().push(point.to_owned());
    }

    fn in_background(&self, work: impl Future<Output = ()> + 'static) {
        self.spawner.spawn_local(work).unwrap();
    }

    fn work(&self) -> Work {
        Work { tasks: 0, waits: self.world.open.get() }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.world.variables.borrow().get(name).cloned()
    }

    fn has_secret(&self, name: &str) -> bool {
        self.world.secrets.borrow().contains_key(name)
    }

    async fn read_secret(&self, name: &str) -> Result<Option<String>, PlatformError> {
        self.world.secret_reads.borrow_mut().push(name.to_owned());
        self.at(self.now() + Millis::new(20)).await;
        let value = self.world.secrets.borrow().get(name).cloned().flatten();
        value.map(Some).ok_or_else(|| PlatformError::new("the store is away"))
    }

    async fn read_document(&self, key: &str) -> Result<Option<StoredText>, PlatformError> {
        self.world.reads.borrow_mut().push(key.to_owned());
        match self.world.store_delay.get() {
            Some(Millis::ZERO) => {}
            Some(delay) => self.at(self.now() + delay).await,
            None => return self.never().await,
        }
        self.world.stored(key)
    }

    async fn write_document(&self, key: &str, text: &str) -> Result<(), PlatformError> {
        self.world.store(key, Some(text), None)
    }

    async fn post(&self, url: &str, headers: &Headers, body: String) -> Result<u16, PlatformError> {
        let post = Post { at: self.now(), url: url.to_owned(), headers: headers.clone(), body };
        self.world.posts.borrow_mut().push(post);
        let answer = self.world.post_answers.borrow_mut().pop_front();
        match answer.unwrap_or(PostAnswer::Status(200)) {
            PostAnswer::Status(status) => Ok(status),
            PostAnswer::Unreachable => Err(PlatformError::new(format!("no route to {url}"))),
            PostAnswer::Never => self.never().await,
        }
    }

    async fn get(&self, url: &str, within: Millis) -> Result<(u16, String), PlatformError> {
        self.world.gets.borrow_mut().push(url.to_owned());
        let page = self.world.pages.borrow().get(url).cloned();
        match page {
            Some(Some(page)) => Ok(page),
            Some(None) => {
                self.at(self.now() + within).await;
                Err(PlatformError::new("it takes too long"))
            }
            None => Err(PlatformError::new(format!("no route to {url}"))),
        }
    }

    async fn send_form(
        &self,
        url: &str,
        form: String,
        within: Millis,
    ) -> Result<(u16, String), PlatformError> {
        let headers = Headers::default();
        let post = Post { at: self.now(), url: url.to_owned(), headers, body: form };
        self.world.forms.borrow_mut().push(post);
        let answer = self.world.form_answers.borrow_mut().pop_front();
        match answer {
            Some((after, Some(answer))) if after < within => {
                self.at(self.now() + after).await;
                Ok(answer)
            }
            Some(_) => {
                self.at(self.now() + within).await;
                Err(PlatformError::new("it takes too long"))
            }
            None => Err(PlatformError::new(format!("no route to {url}"))),
        }
    }

    async fn is_signed(
        &self,
        key: &AccessKey,
        signed: &str,
        signature: &[u8],
    ) -> Result<bool, PlatformError> {
        if key.modulus == "broken" {
            return Err(PlatformError::new("the key cannot be imported"));
        }
        Ok(signature == fake_signature(&key.modulus, signed))
    }

    fn has_registry(&self) -> bool {
        self.world.registry.borrow().is_some()
    }

    async fn ask_registry(&self, path: &str, body: String) -> Result<(u16, String), PlatformError> {
        let registry = self.world.registry.borrow().clone();
        let registry = registry.ok_or_else(|| PlatformError::new("there is no registry here"))?;
        registry.ask(self, path, &body).await
    }

    async fn ask_ledger(
        &self,
        ledger: &str,
        path: &str,
        body: String,
    ) -> Result<(u16, String), PlatformError> {
        let ledgers = Rc::clone(&self.world.ledgers);
        ledgers.ask(self, ledger, path, &body).await
    }

    fn has_objects(&self) -> bool {
        self.world.objects.borrow().is_some()
    }

    fn place(&self) -> Place {
        Place::default()
    }

    async fn read_body(&self, _: usize, limits: BodyLimits) -> Result<ReceivedBody, UploadError> {
        let bytes = self.upload(limits).await?;
        Ok(ReceivedBody { length: bytes.len(), bytes: Some(bytes) })
    }

    async fn read_body_start(&self, most: usize, limits: BodyLimits) -> Result<BodyStart, UploadError> {
        let bytes = self.upload(limits).await?;
        self.world.body.borrow_mut().rest_from = most + 1;
        Ok(if bytes.len() <= most {
            BodyStart::Whole(bytes)
        } else {
            BodyStart::Long(bytes[..=most].to_vec())
        })
    }

    fn body_rest(&self) -> FakeReader {
        let RequestScript { bytes, rest_from, rest_breaks_after, rest_pause, .. } =
            self.world.body.borrow().clone();
        let rest = bytes.get(rest_from..).unwrap_or_default();
        let text = |piece: &[u8]| String::from_utf8(piece.to_vec()).unwrap();
        let pieces = rest.chunks(REST_PIECE).take(rest_breaks_after.unwrap_or(usize::MAX));
        let mut steps: Vec<_> =
            pieces.flat_map(|piece| [Step::Pause(rest_pause), Step::Bytes(text(piece))]).collect();
        if rest_breaks_after.is_some() {
            steps.push(Step::Break);
        }
        FakeStream::upload(self, &steps).chunks()
    }

    fn body_part(&self, start: usize, end: usize) -> Vec<u8> {
        self.world.body.borrow().bytes[start..end].to_vec()
    }

    fn release_body(&self) {
        self.world.body.borrow_mut().is_released = true;
    }

    async fn keep_answer(&self, key: &str, headers: &Headers, answer: &[u8]) -> Result<(), PlatformError> {
        self.world.cache.keep(key, headers, answer)
    }

    async fn client_left(&self) {
        match self.world.client_leaves_at.get() {
            None => self.never().await,
            Some(at) => self.at(at).await,
        }
    }

    fn call(&self) -> FakeCall {
        FakeCall::of(self)
    }

    fn client_stream(&self) -> (FakeClient, FakeClient) {
        let client = FakeClient::that_reads_for(self, self.world.client_reads_for.get());
        (client.clone(), client)
    }
}

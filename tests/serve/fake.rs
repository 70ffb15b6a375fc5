//! A fake platform in virtual time: upstreams that follow a script, a client that may leave or not
//! read, and a clock that jumps to the next timer.
//!
//! Every wait is counted, so a test can assert that a request leaves nothing behind.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use switchyard::serve::client_reply::{ClientReply, ReplyBody};
use switchyard::serve::front::serve_while_connected;
use switchyard::serve::isolate_memory::Isolate;
use switchyard::serve::platform::{
    BodyStart, ByteReader, ByteStream, ClientStream, Clock, Objects, OutgoingBody, OutgoingRequest, Pipe,
    PipeEnd, Platform, PlatformCall, PlatformError, ReceivedBody, ResponseHead, Work,
};
use switchyard::vocabulary::facts::Place;
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::times::ms;

pub const START: Instant = Instant::from_epoch_ms(1_767_225_600_000);

/// How an upstream answers one call.
#[derive(Debug, Clone)]
pub struct Script {
    /// The delay of the headers after the call; `None`: they never arrive.
    pub head_after: Option<Millis>,
    pub status: u16,
    pub content_type: &'static str,
    /// The body, after the headers.
    pub steps: Vec<Step>,
    /// Whether the response states the length of its body.
    pub says_length: bool,
}

/// A step of an upstream's body.
#[derive(Debug, Clone)]
pub enum Step {
    Bytes(String),
    Pause(Millis),
    /// No more bytes arrive, and the connection stays open.
    Hang,
    /// The connection breaks.
    Break,
}

impl Script {
    pub fn json(status: u16, body: &str) -> Self {
        let steps = vec![Step::Bytes(body.to_owned())];
        Self { head_after: Some(ms(10)), status, content_type: "application/json", steps, says_length: true }
    }

    pub fn events(steps: Vec<Step>) -> Self {
        Self {
            head_after: Some(ms(10)),
            status: 200,
            content_type: "text/event-stream",
            steps,
            says_length: false,
        }
    }

    pub fn silence() -> Self {
        Self { head_after: None, ..Self::json(200, "") }
    }
}

/// The state of one test.
#[derive(Default)]
struct World {
    now: Cell<Instant>,
    timers: RefCell<BTreeMap<(Instant, usize), Waker>>,
    timer_count: Cell<usize>,
    open: Cell<usize>,
    log: RefCell<Vec<String>>,
    scripts: RefCell<VecDeque<Script>>,
    calls: RefCell<Vec<Rc<CallState>>>,
    documents: RefCell<BTreeMap<String, Result<String, PlatformError>>>,
    variables: BTreeMap<String, String>,
    body: RefCell<RequestScript>,
    clients: RefCell<Vec<FakeClient>>,
    client_leaves_at: Cell<Option<Instant>>,
}

#[derive(Default, Clone)]
struct RequestScript {
    bytes: Vec<u8>,
    hangs: bool,
    breaks: bool,
    is_released: bool,
}

#[derive(Debug)]
pub struct CallState {
    pub request: OutgoingRequest,
    pub is_aborted: Cell<bool>,
    is_answered: Cell<bool>,
    body: RefCell<Option<FakeStream>>,
}

/// The platform for one test.
#[derive(Clone)]
pub struct Fake {
    world: Rc<World>,
    isolate: Rc<Isolate>,
    spawner: LocalSpawner,
}

/// The controls of a test.
pub struct Bench {
    pub fake: Fake,
    pool: LocalPool,
}

/// What the client received.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: Body,
}

#[derive(Debug)]
pub enum Body {
    Bytes(Vec<u8>),
    Stream(FakeClient),
}

impl Answer {
    pub fn text(&self) -> String {
        let bytes = match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Stream(client) => client.0.written.borrow().clone(),
        };
        String::from_utf8(bytes).unwrap()
    }

    pub fn client(&self) -> &FakeClient {
        let Body::Stream(client) = &self.body else { panic!("not a stream: {self:?}") };
        client
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_default()
    }
}

impl Bench {
    /// A gateway with these routes in its store.
    pub fn new(routes: &str) -> Self {
        let bench = Self::without_documents();
        bench.put("routes", routes);
        bench
    }

    pub fn without_documents() -> Self {
        let pool = LocalPool::new();
        let variables = [("SWITCHYARD_KEY", "sk-app"), ("KEY", "sk-up"), ("ADMIN_TOKEN", "admin")];
        let variables =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let world = World { now: Cell::new(START), variables, ..World::default() };
        let fake = Fake { world: Rc::new(world), isolate: Rc::default(), spawner: pool.spawner() };
        Self { fake, pool }
    }

    pub fn put(&self, key: &str, text: &str) {
        self.fake.world.documents.borrow_mut().insert(key.to_owned(), Ok(text.to_owned()));
    }

    pub fn remove(&self, key: &str) {
        self.fake.world.documents.borrow_mut().remove(key);
    }

    pub fn break_store(&self, key: &str) {
        let error = Err(PlatformError::new("KV is overloaded"));
        self.fake.world.documents.borrow_mut().insert(key.to_owned(), error);
    }

    pub fn document(&self, key: &str) -> Option<String> {
        self.fake.world.documents.borrow().get(key)?.clone().ok()
    }

    /// The scripts of the next upstream calls, in this order.
    pub fn script(&self, scripts: impl IntoIterator<Item = Script>) {
        self.fake.world.scripts.borrow_mut().extend(scripts);
    }

    /// The request's body never ends.
    pub fn hang_upload(&self) {
        self.fake.world.body.borrow_mut().hangs = true;
    }

    /// The request's body breaks off.
    pub fn break_upload(&self) {
        self.fake.world.body.borrow_mut().breaks = true;
    }

    /// Sends a request, waits for its answer, and runs all background work to its end.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let answer = self.request_until(method, path, body, Millis::MAX).expect("an answer");
        self.finish();
        answer
    }

    /// Sends a chat request, as [`Self::request`] does.
    pub fn chat(&mut self, body: &str) -> Answer {
        self.request("POST", "/v1/chat/completions", body)
    }

    /// Sends a chat request, and waits until its answer begins. Background work is not awaited.
    pub fn begin_chat(&mut self, body: &str) -> Answer {
        self.request_until("POST", "/v1/chat/completions", body, Millis::MAX).expect("an answer")
    }

    /// Sends a chat request whose client leaves after this time. Returns the answer if it came
    /// before.
    pub fn chat_until(&mut self, body: &str, leaves_after: Millis) -> Option<Answer> {
        self.request_until("POST", "/v1/chat/completions", body, leaves_after)
    }

    fn request_until(&mut self, method: &str, path: &str, body: &str, leaves: Millis) -> Option<Answer> {
        self.fake.world.body.borrow_mut().bytes = body.into();
        let length = format!("content-length\n{}\n", body.len());
        let length = if body.is_empty() { "" } else { &length };
        let head = format!(
            "{method}\nhttps://gateway{path}\nauthorization\nBearer sk-app\ncontent-type\napplication/json\n{length}"
        );
        self.fake.world.client_leaves_at.set((leaves < Millis::MAX).then(|| self.now() + leaves));
        let fake = self.fake.clone();
        let done = Rc::new(RefCell::new(None));
        let task = {
            let done = Rc::clone(&done);
            async move {
                let answer = answer(serve_while_connected(&fake, &head).await);
                done.replace(Some((answer.status != 499).then_some(answer)));
            }
        };
        self.fake.spawner.spawn_local(task).unwrap();
        loop {
            self.pool.run_until_stalled();
            if let Some(outcome) = done.take() {
                return outcome;
            }
            assert!(self.jump(), "nothing goes on; log: {:?}", self.log());
        }
    }

    /// Runs until no work is left.
    pub fn finish(&mut self) {
        loop {
            self.pool.run_until_stalled();
            if !self.jump() {
                return;
            }
        }
    }

    /// Advances the clock by `ms` milliseconds.
    pub fn pass(&mut self, ms: Millis) {
        let end = self.now() + ms;
        loop {
            self.pool.run_until_stalled();
            match self.next_timer().filter(|at| *at <= end) {
                Some(_) => assert!(self.jump()),
                None => break,
            }
        }
        self.fake.world.now.set(end);
        self.pool.run_until_stalled();
    }

    /// Moves the clock to the next timer. Returns whether there was one.
    fn jump(&self) -> bool {
        let world = &self.fake.world;
        let Some(next) = self.next_timer() else { return false };
        world.now.set(world.now.get().max(next));
        let now = world.now.get();
        let later = world.timers.borrow_mut().split_off(&(now + ms(1), 0));
        let due = world.timers.replace(later);
        for waker in due.into_values() {
            waker.wake();
        }
        true
    }

    fn next_timer(&self) -> Option<Instant> {
        let timers = self.fake.world.timers.borrow();
        // The timer at `Millis::MAX` belongs to a client that never leaves. It does not count.
        timers.keys().map(|(at, _)| *at).next().filter(|at| *at < Instant::MAX)
    }

    pub fn now(&self) -> Instant {
        self.fake.world.now.get()
    }

    pub fn elapsed(&self) -> Millis {
        self.now() - START
    }

    pub fn log(&self) -> Vec<String> {
        self.fake.world.log.borrow().clone()
    }

    pub fn calls(&self) -> Vec<Rc<CallState>> {
        self.fake.world.calls.borrow().clone()
    }

    /// Whether the bytes of the request were freed.
    pub fn is_body_released(&self) -> bool {
        self.fake.world.body.borrow().is_released
    }

    /// The number of waits that are still awaited.
    pub fn open_waits(&self) -> usize {
        self.fake.world.open.get()
    }

    /// The health of the deployments in this isolate.
    pub fn health(&self) -> Vec<switchyard::health::Snapshot> {
        let routes = self.fake.isolate.current().expect("routes");
        routes.health.borrow().snapshot(self.now())
    }

    /// The number of attempts in flight.
    pub fn in_flight(&self) -> u32 {
        let routes = self.fake.isolate.current().expect("routes");
        let health = routes.health.borrow();
        (0..routes.graph.deployments.len()).map(|id| health.in_flight(id, self.now())).sum()
    }

    pub fn isolate(&self) -> &Isolate {
        &self.fake.isolate
    }
}

fn answer(reply: ClientReply<Fake>) -> Answer {
    match reply {
        ClientReply::Own { status, headers, body } => {
            Answer { status, headers, body: Body::Bytes(body.unwrap_or_default()) }
        }
        ClientReply::OwnStream { headers, body } => Answer { status: 200, headers, body: Body::Stream(body) },
        ClientReply::Upstream { call, headers, body, .. } => {
            let body = match body {
                ReplyBody::AsRead => Body::Bytes(call.read_at_once()),
                ReplyBody::Bytes(bytes) => Body::Bytes(bytes),
                ReplyBody::Stream(client) => Body::Stream(client),
            };
            Answer { status: call.status(), headers, body }
        }
    }
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
        _: &str,
        _: Option<&str>,
        _: &str,
        _: Option<String>,
    ) -> Result<(u16, String), PlatformError> {
        Err(PlatformError::new("there is no object here"))
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

    fn seed(&self) -> u64 {
        7
    }

    fn warn(&self, line: &str) {
        self.world.log.borrow_mut().push(line.to_owned());
    }

    fn in_background(&self, work: impl Future<Output = ()> + 'static) {
        self.spawner.spawn_local(work).unwrap();
    }

    fn work(&self) -> Work {
        Work { tasks: 0, waits: self.world.open.get() }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.world.variables.get(name).cloned()
    }

    async fn read_document(&self, key: &str) -> Result<Option<String>, PlatformError> {
        self.world.documents.borrow().get(key).cloned().transpose()
    }

    async fn write_document(&self, key: &str, text: &str) -> Result<(), PlatformError> {
        self.world.documents.borrow_mut().insert(key.to_owned(), Ok(text.to_owned()));
        Ok(())
    }

    fn has_objects(&self) -> bool {
        false
    }

    fn place(&self) -> Place {
        Place::default()
    }

    async fn read_body(&self, _: usize) -> Result<ReceivedBody, PlatformError> {
        let RequestScript { bytes, hangs, breaks, .. } = self.world.body.borrow().clone();
        if hangs {
            return self.never().await;
        }
        if breaks {
            return Err(PlatformError::new("the connection was lost"));
        }
        Ok(ReceivedBody { length: bytes.len(), bytes: Some(bytes) })
    }

    async fn read_body_start(&self, limit: usize) -> Result<BodyStart, PlatformError> {
        let bytes = self.world.body.borrow().bytes.clone();
        Ok(if bytes.len() <= limit {
            BodyStart::Whole(bytes)
        } else {
            BodyStart::Long(bytes[..=limit].to_vec())
        })
    }

    fn body_part(&self, start: usize, end: usize) -> Vec<u8> {
        self.world.body.borrow().bytes[start..end].to_vec()
    }

    fn release_body(&self) {
        self.world.body.borrow_mut().is_released = true;
    }

    async fn client_left(&self) {
        match self.world.client_leaves_at.get() {
            None => self.never().await,
            Some(at) => self.at(at).await,
        }
    }

    fn call(&self) -> FakeCall {
        FakeCall { fake: self.clone(), state: Rc::default() }
    }

    fn client_stream(&self) -> (FakeClient, FakeClient) {
        let client = FakeClient(Rc::new(ClientState { fake: self.clone(), ..ClientState::of(self) }));
        self.world.clients.borrow_mut().push(client.clone());
        (client.clone(), client)
    }
}

/// An upstream call that was sent, and the script of its answer.
type SentCall = (Rc<CallState>, Script);

/// An upstream call.
#[derive(Clone)]
pub struct FakeCall {
    fake: Fake,
    state: Rc<RefCell<Option<SentCall>>>,
}

impl FakeCall {
    fn script(&self) -> Script {
        self.state.borrow().as_ref().expect("a call that was sent").1.clone()
    }

    fn status(&self) -> u16 {
        self.script().status
    }

    fn read_at_once(&self) -> Vec<u8> {
        let bytes = self.script().steps.into_iter().map(|step| match step {
            Step::Bytes(text) => text.into_bytes(),
            _ => Vec::new(),
        });
        bytes.flatten().collect()
    }
}

impl PlatformCall for FakeCall {
    type Stream = FakeStream;

    async fn send(&self, request: OutgoingRequest) -> Result<ResponseHead, PlatformError> {
        let world = &self.fake.world;
        let script = world.scripts.borrow_mut().pop_front().expect("a script for each call");
        let most = request.read_up_to;
        let call = CallState {
            request,
            is_aborted: Cell::new(false),
            is_answered: Cell::new(false),
            body: RefCell::new(None),
        };
        let call = Rc::new(call);
        world.calls.borrow_mut().push(Rc::clone(&call));
        self.state.replace(Some((Rc::clone(&call), script.clone())));
        let Some(after) = script.head_after else { return self.fake.never().await };
        self.fake.at(self.fake.now() + after).await;
        call.is_answered.set(true);
        let mut headers = Headers::of([("content-type", script.content_type)]);
        let stream = FakeStream::new(&self.fake, &call, &script.steps);
        let length = self.read_at_once().len();
        if script.says_length {
            headers.push("content-length", &length.to_string());
        }
        let body = if script.says_length && script.status < 300 && length > 0 && length <= most {
            let reader = stream.chunks();
            let mut bytes = Vec::new();
            while let Some(piece) = reader.read(usize::MAX).await? {
                bytes.extend_from_slice(&piece);
            }
            Some(bytes)
        } else {
            call.body.replace(Some(stream));
            None
        };
        Ok(ResponseHead { status: script.status, headers, body })
    }

    fn is_answered(&self) -> bool {
        self.state.borrow().as_ref().is_some_and(|(call, _)| call.is_answered.get())
    }

    fn stream(&self) -> Option<FakeStream> {
        self.state.borrow().as_ref()?.0.body.borrow().clone()
    }

    fn abort(&self) {
        if let Some((call, _)) = &*self.state.borrow() {
            call.is_aborted.set(true);
        }
    }
}

/// The body of a response: its steps and their times.
#[derive(Clone)]
pub struct FakeStream {
    fake: Fake,
    call: Rc<CallState>,
    timeline: Rc<Vec<(Instant, Event)>>,
    at: Rc<Cell<usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Bytes(Vec<u8>),
    Break,
    Hang,
    End,
}

impl std::fmt::Debug for FakeStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.timeline)
    }
}

impl FakeStream {
    fn new(fake: &Fake, call: &Rc<CallState>, steps: &[Step]) -> Self {
        let mut at = fake.now();
        let mut timeline = Vec::new();
        for step in steps {
            match step {
                Step::Bytes(text) => timeline.push((at, Event::Bytes(text.clone().into_bytes()))),
                Step::Pause(ms) => at += *ms,
                Step::Hang => timeline.push((at, Event::Hang)),
                Step::Break => timeline.push((at, Event::Break)),
            }
        }
        timeline.push((at, Event::End));
        Self { fake: fake.clone(), call: Rc::clone(call), timeline: Rc::new(timeline), at: Rc::default() }
    }

    async fn next(&self) -> Result<Option<Vec<u8>>, PlatformError> {
        let (at, event) = self.timeline[self.at.get().min(self.timeline.len() - 1)].clone();
        self.fake.at(at).await;
        if self.call.is_aborted.get() {
            return Err(PlatformError::new("aborted"));
        }
        if event != Event::End {
            self.at.set(self.at.get() + 1);
        }
        match event {
            Event::Bytes(bytes) => Ok(Some(bytes)),
            Event::Break => Err(PlatformError::new("the connection was lost")),
            Event::Hang => self.fake.never().await,
            Event::End => Ok(None),
        }
    }

    fn is_ready(&self) -> bool {
        let next = self.timeline.get(self.at.get());
        next.is_some_and(|(at, event)| *at <= self.fake.now() && matches!(event, Event::Bytes(_)))
    }
}

impl ByteStream for FakeStream {
    type Client = FakeClient;
    type Reader = FakeReader;
    type Pipe = FakePipe;

    fn tee(self) -> (Self, Self) {
        let other = Self { at: Rc::new(Cell::new(self.at.get())), ..self.clone() };
        (self, other)
    }

    fn chunks(&self) -> FakeReader {
        FakeReader { stream: self.clone(), gathers: false }
    }

    fn reader(&self) -> FakeReader {
        FakeReader { stream: self.clone(), gathers: true }
    }

    fn pipe(&self, client: &FakeClient, end: PipeEnd) -> FakePipe {
        let cut = Rc::new(Cell::new(None::<Waker>));
        let is_cut = Rc::new(Cell::new(false));
        let (stream, client) = (self.clone(), client.clone());
        let work = async move {
            loop {
                match stream.next().await {
                    Ok(Some(bytes)) => client.send(&bytes).await?,
                    Ok(None) if end == PipeEnd::Passed => return client.close().await,
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        if end == PipeEnd::Passed {
                            client.0.is_broken.set(true);
                        }
                        return Err(error);
                    }
                }
            }
        };
        FakePipe { work: Box::pin(work), cut, is_cut }
    }
}

pub struct FakeReader {
    stream: FakeStream,
    gathers: bool,
}

impl ByteReader for FakeReader {
    async fn read(&self, most: usize) -> Result<Option<Vec<u8>>, PlatformError> {
        let Some(mut bytes) = self.stream.next().await? else { return Ok(None) };
        while self.gathers && bytes.len() < most && self.stream.is_ready() {
            bytes.extend(self.stream.next().await?.unwrap_or_default());
        }
        Ok(Some(bytes))
    }

    fn release(&self) {}

    fn cancel(&self) {}
}

pub struct FakePipe {
    work: Pin<Box<dyn Future<Output = Result<(), PlatformError>>>>,
    cut: Rc<Cell<Option<Waker>>>,
    is_cut: Rc<Cell<bool>>,
}

impl Future for FakePipe {
    type Output = Result<(), PlatformError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_cut.get() {
            return Poll::Ready(Err(PlatformError::new("cut")));
        }
        self.cut.set(Some(context.waker().clone()));
        self.work.as_mut().poll(context)
    }
}

impl Pipe for FakePipe {
    fn cut(&self) {
        self.is_cut.set(true);
        if let Some(waker) = self.cut.take() {
            waker.wake();
        }
    }
}

/// The client's end of a stream.
#[derive(Clone)]
pub struct FakeClient(Rc<ClientState>);

struct ClientState {
    fake: Fake,
    written: RefCell<Vec<u8>>,
    has_left: Cell<bool>,
    is_closed: Cell<bool>,
    is_broken: Cell<bool>,
}

impl ClientState {
    fn of(fake: &Fake) -> Self {
        Self {
            fake: fake.clone(),
            written: RefCell::default(),
            has_left: Cell::default(),
            is_closed: Cell::default(),
            is_broken: Cell::default(),
        }
    }
}

impl std::fmt::Debug for FakeClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", String::from_utf8_lossy(&self.0.written.borrow()))
    }
}

impl FakeClient {
    /// The client leaves.
    pub fn leave(&self) {
        self.0.has_left.set(true);
    }

    /// Whether the stream ended cleanly.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed.get()
    }

    /// Whether the stream was broken off.
    pub fn is_broken(&self) -> bool {
        self.0.is_broken.get()
    }
}

impl ClientStream for FakeClient {
    async fn send(&self, bytes: &[u8]) -> Result<(), PlatformError> {
        let _open = self.0.fake.wait();
        if self.0.has_left.get() {
            return Err(PlatformError::new("the client has left"));
        }
        self.0.written.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    async fn close(&self) -> Result<(), PlatformError> {
        if self.0.has_left.get() {
            return Err(PlatformError::new("the client has left"));
        }
        self.0.is_closed.set(true);
        Ok(())
    }
}

/// The text of the body that a call has sent.
pub fn sent_body(call: &CallState, received: &str) -> String {
    match &call.request.body {
        OutgoingBody::Empty => String::new(),
        OutgoingBody::AsReceived => received.to_owned(),
        OutgoingBody::Edited(splice) => String::from_utf8(splice.apply(received.as_bytes())).unwrap(),
        OutgoingBody::Once { first, .. } => String::from_utf8(first.clone()).unwrap(),
    }
}

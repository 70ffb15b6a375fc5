//! Upstreams that follow a script: their calls, their streams and their pipes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::future::{Either, select};
use switchyard::serve::platform::Clock;
use switchyard::serve::platform::{
    ByteReader, ByteStream, ClientStream, OutgoingBody, OutgoingRequest, Pipe, PipeEnd, PlatformCall,
    PlatformError, ResponseHead,
};
use switchyard::stream::usage_filter::{Passing, UsageFilter};
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::time::{Instant, Millis};

use super::{Fake, FakeClient};
use crate::times::ms;

/// How an upstream answers one call.
#[derive(Debug, Clone)]
pub struct Script {
    /// The delay of the headers after the call; `None`: they never arrive.
    pub head_after: Option<Millis>,
    pub status: u16,
    pub content_type: &'static str,
    /// Further headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body, after the headers.
    pub steps: Vec<Step>,
    /// Whether the response states the length of its body.
    pub says_length: bool,
    /// Whether it answers without waiting for the whole body.
    pub is_early: bool,
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
        Self { status, content_type: "application/json", says_length: true, ..Self::events(steps) }
    }

    pub fn events(steps: Vec<Step>) -> Self {
        Self {
            head_after: Some(ms(10)),
            status: 200,
            content_type: "text/event-stream",
            headers: &[],
            steps,
            says_length: false,
            is_early: false,
        }
    }

    /// The headers, without the length.
    fn head(&self) -> Headers {
        let content_type = Some(("content-type", self.content_type)).filter(|(_, value)| !value.is_empty());
        Headers::of(content_type.into_iter().chain(self.headers.iter().copied()))
    }

    /// The connection is lost before the headers.
    pub fn reset() -> Self {
        Self { steps: vec![Step::Break], ..Self::silence() }
    }

    pub fn silence() -> Self {
        Self { head_after: None, ..Self::json(200, "") }
    }
}

#[derive(Debug)]
pub struct CallState {
    pub request: OutgoingRequest,
    pub is_aborted: Rc<Abortion>,
    /// What was written to the stream of the upload.
    pub upload: Option<FakeClient>,
    is_answered: Cell<bool>,
    body: RefCell<Option<FakeStream>>,
}

impl CallState {
    /// A call that has a response without a request.
    fn unsent(body: Option<FakeStream>) -> Self {
        Self {
            request: OutgoingRequest {
                url: String::new(),
                method: String::new(),
                withheld: String::new(),
                headers: Headers::default(),
                body: OutgoingBody::Empty,
                read_up_to: 0,
            },
            is_aborted: Rc::default(),
            upload: None,
            is_answered: Cell::new(true),
            body: RefCell::new(body),
        }
    }
}

/// Whether and when a call was aborted.
#[derive(Debug, Default)]
pub struct Abortion {
    at: Cell<Option<Instant>>,
    wakers: RefCell<Vec<Waker>>,
}

impl Abortion {
    pub fn get(&self) -> bool {
        self.at.get().is_some()
    }

    fn set(&self, now: Instant) {
        self.at.set(self.at.get().or(Some(now)));
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    /// Ends when the call is aborted.
    async fn wait(&self) {
        poll_fn(|context| {
            if self.get() {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// An upstream call that was sent, and the script of its answer.
type SentCall = (Rc<CallState>, Script);

/// An upstream call.
#[derive(Clone)]
pub struct FakeCall {
    fake: Fake,
    state: Rc<RefCell<Option<SentCall>>>,
    upload: Rc<RefCell<Option<FakeClient>>>,
    /// When the platform has sent the body that it sends once.
    sent_at: Rc<Cell<Instant>>,
}

impl FakeCall {
    pub(super) fn of(fake: &Fake) -> Self {
        Self { fake: fake.clone(), state: Rc::default(), upload: Rc::default(), sent_at: Rc::default() }
    }

    fn script(&self) -> Script {
        self.state.borrow().as_ref().expect("a call that was sent").1.clone()
    }

    /// The headers of the response, without its length.
    pub(super) fn headers(&self) -> Headers {
        self.script().head()
    }

    pub(super) fn status(&self) -> u16 {
        self.script().status
    }

    pub(super) fn read_at_once(&self) -> Vec<u8> {
        let bytes = self.script().steps.into_iter().map(|step| match step {
            Step::Bytes(text) => text.into_bytes(),
            _ => Vec::new(),
        });
        bytes.flatten().collect()
    }
}

impl PlatformCall for FakeCall {
    type Stream = FakeStream;
    type Upload = FakeClient;

    fn upload(&self, _: Option<usize>) -> FakeClient {
        let upload = FakeClient::of(&self.fake);
        self.upload.replace(Some(upload.clone()));
        upload
    }

    async fn send(&self, request: OutgoingRequest) -> Result<ResponseHead, PlatformError> {
        let world = &self.fake.world;
        let script = world.scripts.borrow_mut().pop_front().expect("a script for each call");
        let most = request.read_up_to;
        let call = CallState {
            request,
            is_aborted: Rc::default(),
            upload: self.upload.borrow().clone(),
            is_answered: Cell::new(false),
            body: RefCell::new(None),
        };
        let call = Rc::new(call);
        world.calls.borrow_mut().push(Rc::clone(&call));
        self.state.replace(Some((Rc::clone(&call), script.clone())));
        // An upstream answers when it has the whole body.
        if matches!(call.request.body, OutgoingBody::Once { .. }) {
            self.sent_at.set(self.fake.rest_ends_at());
            if !script.is_early {
                self.fake.at(self.sent_at.get()).await;
            }
        }
        while !script.is_early && call.upload.as_ref().is_some_and(|upload| !upload.is_closed()) {
            if call.is_aborted.get() {
                return Err(PlatformError::new("aborted"));
            }
            self.fake.at(self.fake.now() + ms(1)).await;
        }
        let Some(after) = script.head_after else {
            if let Some(Step::Break) = script.steps.first() {
                return Err(PlatformError::new("the connection was lost"));
            }
            return self.fake.never().await;
        };
        let has_body_since = call.upload.as_ref().and_then(FakeClient::closed_at);
        self.fake.at(has_body_since.unwrap_or(self.fake.now()) + after).await;
        call.is_answered.set(true);
        let mut headers = script.head();
        let stream = FakeStream::new(&self.fake, &call.is_aborted, &script.steps);
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

    async fn find_answer(&self, key: &str) -> Result<Option<Headers>, PlatformError> {
        let Some((mut headers, body)) = self.fake.world.cache.find(&self.fake, key).await? else {
            return Ok(None);
        };
        let content_type = match headers.get("content-type") {
            Some("application/json") => "application/json",
            _ => "text/event-stream; charset=utf-8",
        };
        let steps = vec![Step::Bytes(String::from_utf8(body).unwrap())];
        // What the platform adds.
        let script = Script { content_type, headers: &[("cf-cache-status", "HIT")], ..Script::events(steps) };
        headers.push("cf-cache-status", "HIT");
        let call = CallState::unsent(None);
        self.state.replace(Some((Rc::new(call), script)));
        Ok(Some(headers))
    }

    fn break_off(&self, headers: &Headers, first: &[u8]) {
        let content_type = match headers.get("content-type") {
            Some("text/event-stream") => "text/event-stream",
            _ => "application/json",
        };
        let steps = vec![Step::Bytes(String::from_utf8(first.to_vec()).unwrap()), Step::Break];
        let script = Script { content_type, ..Script::events(steps) };
        let call = CallState::unsent(Some(FakeStream::new(&self.fake, &Rc::default(), &script.steps)));
        self.state.replace(Some((Rc::new(call), script)));
    }

    async fn upload_end(self) {
        self.fake.at(self.sent_at.get()).await;
    }

    fn is_answered(&self) -> bool {
        self.state.borrow().as_ref().is_some_and(|(call, _)| call.is_answered.get())
    }

    fn stream(&self) -> Option<FakeStream> {
        self.state.borrow().as_ref()?.0.body.borrow().clone()
    }

    fn abort(&self) {
        if let Some((call, _)) = &*self.state.borrow() {
            call.is_aborted.set(self.fake.now());
        }
        if let Some(upload) = &*self.upload.borrow() {
            upload.leave();
        }
    }
}

/// The body of a response: its steps and their times.
#[derive(Clone)]
pub struct FakeStream {
    fake: Fake,
    is_aborted: Rc<Abortion>,
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
    /// The steps of a body that is uploaded.
    pub(super) fn upload(fake: &Fake, steps: &[Step]) -> Self {
        Self::new(fake, &Rc::default(), steps)
    }

    fn new(fake: &Fake, is_aborted: &Rc<Abortion>, steps: &[Step]) -> Self {
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
        Self {
            fake: fake.clone(),
            is_aborted: Rc::clone(is_aborted),
            timeline: Rc::new(timeline),
            at: Rc::default(),
        }
    }

    async fn next(&self) -> Result<Option<Vec<u8>>, PlatformError> {
        let (at, event) = self.timeline[self.at.get().min(self.timeline.len() - 1)].clone();
        let arrives = async {
            self.fake.at(at).await;
            if event == Event::Hang {
                self.fake.never::<()>().await;
            }
        };
        // Bytes that have arrived are still read after the call was aborted.
        let is_too_late = self.is_aborted.at.get().is_some_and(|aborted_at| at > aborted_at);
        let aborted = self.is_aborted.wait();
        if is_too_late || matches!(select(pin!(arrives), pin!(aborted)).await, Either::Right(_)) {
            return Err(PlatformError::new("aborted"));
        }
        if event != Event::End {
            self.at.set(self.at.get() + 1);
        }
        match event {
            Event::Bytes(bytes) => Ok(Some(bytes)),
            Event::Break => Err(PlatformError::new("the connection was lost")),
            Event::Hang | Event::End => Ok(None),
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
        FakeReader { stream: self.clone(), gathers: false, is_reading: Cell::default() }
    }

    fn reader(&self) -> FakeReader {
        FakeReader { stream: self.clone(), gathers: true, is_reading: Cell::default() }
    }

    fn pipe(&self, client: &FakeClient, end: PipeEnd) -> FakePipe {
        self.pipe_through(client, end, None)
    }

    fn pipe_filtered(&self, client: &FakeClient, filter: UsageFilter) -> FakePipe {
        self.fake.world.filtered_pipes.set(self.fake.world.filtered_pipes.get() + 1);
        self.pipe_through(client, PipeEnd::LeftOpen, Some(filter))
    }
}

impl FakeStream {
    fn pipe_through(&self, client: &FakeClient, end: PipeEnd, mut filter: Option<UsageFilter>) -> FakePipe {
        let cut = Rc::new(Cell::new(None::<Waker>));
        let is_cut = Rc::new(Cell::new(false));
        let (stream, client) = (self.clone(), client.clone());
        let is_filtered = filter.is_some();
        let (was_cut, is_writing) = (Rc::clone(&is_cut), Rc::new(Cell::new(false)));
        let writing = Rc::clone(&is_writing);
        let work = async move {
            loop {
                if was_cut.get() {
                    return Err(PlatformError::new("the pipe was cut"));
                }
                writing.set(false);
                match stream.next().await {
                    Ok(Some(bytes)) => {
                        writing.set(is_filtered);
                        match filter.as_mut().map(|filter| filter.push(&bytes)) {
                            None | Some(Passing::Unchanged) => client.send(&bytes).await?,
                            Some(Passing::Bytes(passing)) if passing.is_empty() => {}
                            Some(Passing::Bytes(passing)) => client.send(&passing).await?,
                        }
                    }
                    Ok(None) if filter.is_some() => {
                        return client.send(&filter.take().unwrap().end()).await;
                    }
                    Ok(None) if end == PipeEnd::Passed => return client.close().await,
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        if end == PipeEnd::Passed {
                            client.break_off();
                        }
                        return Err(error);
                    }
                }
            }
        };
        FakePipe { work: Box::pin(work), cut, is_cut, is_writing }
    }
}

pub struct FakeReader {
    stream: FakeStream,
    gathers: bool,
    /// A read is under way. It stays so if its future is dropped, because the platform goes on.
    is_reading: Cell<bool>,
}

impl ByteReader for FakeReader {
    async fn read(&self, most: usize) -> Result<Option<Vec<u8>>, PlatformError> {
        if self.is_reading.replace(true) {
            return Err(PlatformError::new(
                "This ReadableStream only supports a single pending read request",
            ));
        }
        let first = self.stream.next().await;
        self.is_reading.set(false);
        let Some(mut bytes) = first? else { return Ok(None) };
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
    /// A pipe with a filter is ended only after its write to the client.
    is_writing: Rc<Cell<bool>>,
}

impl Future for FakePipe {
    type Output = Result<(), PlatformError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_cut.get() && !self.is_writing.get() {
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

/// The text of the body that a call has sent.
pub fn sent_body(call: &CallState, received: &str) -> String {
    match &call.request.body {
        OutgoingBody::Empty => String::new(),
        OutgoingBody::AsReceived => received.to_owned(),
        OutgoingBody::Edited(splice) => String::from_utf8(splice.apply(received.as_bytes())).unwrap(),
        OutgoingBody::Once { first, .. } => String::from_utf8(first.clone()).unwrap(),
        OutgoingBody::Upload => String::from_utf8(call.upload.as_ref().unwrap().written()).unwrap(),
    }
}

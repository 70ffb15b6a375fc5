//! The controls of a test, and what its client receives.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use serde_json::Value;
use switchyard::counters::Counters;
use switchyard::serve::client_reply::{ClientReply, ReplyBody};
use switchyard::serve::front::serve_while_connected;
use switchyard::serve::isolate_memory::Isolate;
use switchyard::serve::platform::PlatformError;
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::time::{Instant, Millis};

use super::upstream::{CallState, Script};
use super::{Fake, FakeClient, FakeLedgers, FakeObjects, FakeRegistry, FormAnswer, Post, PostAnswer, World};
use crate::times::ms;

pub const START: Instant = Instant::from_epoch_ms(1_767_225_600_000);

/// The controls of a test.
pub struct Bench {
    pub fake: Fake,
    pool: LocalPool,
    started_at: Instant,
    key: &'static str,
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
            Body::Stream(client) => client.written(),
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

    /// The same, in an isolate that has loaded them and has done its first background work.
    pub fn started(routes: &str) -> Self {
        let mut bench = Self::new(routes);
        bench.request("GET", "/healthz", "");
        bench.started_at = bench.now();
        bench
    }

    pub fn without_documents() -> Self {
        let pool = LocalPool::new();
        let variables = [
            ("SWITCHYARD_KEY", "sk-app"),
            ("KEY", "sk-up"),
            ("LONG_KEY", "sk-up-0123456789"),
            ("ADMIN_TOKEN", "admin"),
            ("VIEWER_TOKEN", "viewer"),
            ("ALERT_URL", "https://hooks/alerts?token=t"),
            ("ALERT_SECRET", "whsec_c2VjcmV0"),
        ];
        let variables =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let store_delay = Cell::new(Some(Millis::ZERO));
        let world = World {
            now: Cell::new(START),
            variables: RefCell::new(variables),
            store_delay,
            ..World::default()
        };
        let fake = Fake { world: Rc::new(world), isolate: Rc::default(), spawner: pool.spawner() };
        Self { fake, pool, started_at: START, key: "sk-app" }
    }

    /// From now on, requests arrive at this isolate. Returns the one at which they arrived before.
    pub fn arrive_at(&mut self, isolate: Rc<Isolate>) -> Rc<Isolate> {
        std::mem::replace(&mut self.fake.isolate, isolate)
    }

    /// What was posted so far.
    pub fn posts(&self) -> Vec<Post> {
        self.fake.world.posts.borrow().clone()
    }

    /// How the receivers of the next posts answer.
    pub fn answer_posts(&self, answers: impl IntoIterator<Item = PostAnswer>) {
        self.fake.world.post_answers.borrow_mut().extend(answers);
    }

    /// Gives a variable this value from now on.
    pub fn set_variable(&self, name: &str, value: &str) {
        self.fake.world.variables.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// What an address answers to a GET from now on; `None`: nothing, ever.
    pub fn answer_get(&self, url: &str, page: Option<(u16, &str)>) {
        let page = page.map(|(status, text)| (status, text.to_owned()));
        self.fake.world.pages.borrow_mut().insert(url.to_owned(), page);
    }

    /// Gives a secret of the store this value from now on; `None`: the store does not answer.
    pub fn set_secret(&self, name: &str, value: Option<&str>) {
        self.fake.world.secrets.borrow_mut().insert(name.to_owned(), value.map(str::to_owned));
    }

    /// The secrets that were read so far.
    pub fn secret_reads(&self) -> Vec<String> {
        self.fake.world.secret_reads.borrow().clone()
    }

    /// How the next forms are answered. Further ones cannot be sent.
    pub fn answer_forms(&self, answers: impl IntoIterator<Item = FormAnswer>) {
        self.fake.world.form_answers.borrow_mut().extend(answers);
    }

    /// Forgets the answers that no form has got.
    pub fn drop_form_answers(&self) {
        self.fake.world.form_answers.borrow_mut().clear();
    }

    /// The forms that were sent so far.
    pub fn forms(&self) -> Vec<Post> {
        self.fake.world.forms.borrow().clone()
    }

    /// The addresses of all GETs so far.
    pub fn gets(&self) -> Vec<String> {
        self.fake.world.gets.borrow().clone()
    }

    pub fn put(&self, key: &str, text: &str) {
        self.fake.world.notes.borrow_mut().remove(key);
        self.fake.world.documents.borrow_mut().insert(key.to_owned(), Ok(text.to_owned()));
    }

    pub fn remove(&self, key: &str) {
        self.fake.world.documents.borrow_mut().remove(key);
    }

    pub fn break_store(&self, key: &str) {
        let error = Err(PlatformError::new("KV is overloaded"));
        self.fake.world.documents.borrow_mut().insert(key.to_owned(), error);
    }

    /// From now on, a read of the store takes this long; `None`: it never ends.
    pub fn delay_store(&self, delay: Option<Millis>) {
        self.fake.world.store_delay.set(delay);
    }

    /// How often the document with this key was read.
    pub fn reads(&self, key: &str) -> usize {
        self.fake.world.reads.borrow().iter().filter(|read| *read == key).count()
    }

    pub fn document(&self, key: &str) -> Option<String> {
        self.fake.world.documents.borrow().get(key)?.clone().ok()
    }

    /// What stands beside a document in the store.
    pub fn note(&self, key: &str) -> Option<String> {
        self.fake.world.notes.borrow().get(key).cloned()
    }

    /// The answer of the registry to what no isolate of this test has sent.
    pub fn tell_registry(&mut self, path: &str, body: &str) -> (u16, String) {
        let (registry, fake) = (self.registry(), self.fake.clone());
        self.pool.run_until(registry.ask(&fake, path, body)).unwrap()
    }

    /// The alarm of the registry rings, if its time has come.
    pub fn ring(&mut self) {
        let registry = self.fake.world.registry.borrow().clone().expect("a registry");
        let fake = self.fake.clone();
        self.fake.spawner.spawn_local(async move { registry.ring(&fake).await }).unwrap();
        self.pool.run_until_stalled();
    }

    /// The scripts of the next upstream calls, in this order.
    pub fn script(&self, scripts: impl IntoIterator<Item = Script>) {
        self.fake.world.scripts.borrow_mut().extend(scripts);
    }

    /// Forgets the scripts that no call has taken.
    pub fn drop_scripts(&self) {
        self.fake.world.scripts.borrow_mut().clear();
    }

    /// The request's body never ends.
    pub fn hang_upload(&self) {
        self.fake.world.body.borrow_mut().hangs = true;
    }

    /// Adds a header to all requests from now on.
    pub fn add_header(&self, name: &str, value: &str) {
        self.fake.world.body.borrow_mut().headers.push_str(&[name, "\n", value, "\n"].concat());
    }

    /// The request's body takes this long to arrive.
    pub fn slow_upload(&self, takes: Millis) {
        self.fake.world.body.borrow_mut().takes = takes;
    }

    /// The bodies of other requests hold so many bytes.
    pub fn hold_elsewhere(&self, bytes: usize) {
        self.fake.world.body.borrow_mut().held_by_others = bytes;
    }

    /// The request's body breaks off.
    pub fn break_upload(&self) {
        self.fake.world.body.borrow_mut().breaks = true;
    }

    /// The request's body breaks off after this many pieces beyond those that are kept.
    pub fn break_rest(&self, pieces: usize) {
        self.fake.world.body.borrow_mut().rest_breaks_after = Some(pieces);
    }

    /// Each piece of 1000 bytes beyond those that are kept takes this long to arrive.
    pub fn slow_rest(&self, pause: Millis) {
        self.fake.world.body.borrow_mut().rest_pause = pause;
    }

    /// Clients take this long to read each piece of a streamed answer.
    pub fn slow_reading(&self, takes: Millis) {
        self.fake.world.client_reads_for.set(takes);
    }

    /// Requests arrive in the usual way again, and their clients stay and read.
    pub fn usual_clients(&self) {
        self.fake.world.body.take();
        self.fake.world.client_leaves_at.set(None);
        self.slow_reading(Millis::ZERO);
    }

    /// Sends a request, waits for its answer, and runs all background work to its end.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let answer = self.request_until(method, path, body, Millis::MAX).expect("an answer");
        self.finish();
        answer
    }

    /// Calls the admin API with its token, as [`Self::request`] does.
    pub fn admin(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let key = std::mem::replace(&mut self.key, "admin");
        let answer = self.request(method, path, body);
        self.key = key;
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

    /// Sends so many chat requests at the same time, waits for their answers, and returns them with
    /// the time of each.
    pub fn chats_at_once(&mut self, count: usize, body: &str) -> Vec<(Answer, Millis)> {
        let sent: Vec<_> = (0..count).map(|_| self.send_chat(body)).collect();
        self.finish();
        sent.into_iter().map(|answer| answer.take().expect("an answer")).collect()
    }

    /// Sends a chat request without waiting for its answer, which comes with its time.
    pub fn send_chat(&mut self, body: &str) -> Rc<RefCell<Option<(Answer, Millis)>>> {
        let done = Rc::new(RefCell::new(None));
        let sent_at = self.now();
        let fake = self.fake.clone();
        let head = self.head("POST", "/v1/chat/completions", body);
        let answered = Rc::clone(&done);
        let task = async move {
            let answer = answer(serve_while_connected(&fake, &head).await);
            answered.replace(Some((answer, fake.world.now.get() - sent_at)));
        };
        self.fake.spawner.spawn_local(task).unwrap();
        done
    }

    /// The text of a request that is about to be sent. Its body is that of all requests from now
    /// on.
    fn head(&self, method: &str, path: &str, body: &str) -> String {
        let mut request = self.fake.world.body.borrow_mut();
        (request.bytes, request.is_released) = (body.into(), false);
        let (more, key) = (&request.headers, self.key);
        let length = format!("content-length\n{}\n", body.len());
        let length = if body.is_empty() { "" } else { &length };
        let json = if more.starts_with("content-type\n") { "" } else { "content-type\napplication/json\n" };
        format!("{method}\nhttps://gateway{path}\nauthorization\nBearer {key}\n{json}{length}{more}")
    }

    /// Sends a request whose client leaves after this time. Returns the answer if it came before.
    pub fn request_until(&mut self, method: &str, path: &str, body: &str, leaves: Millis) -> Option<Answer> {
        let head = self.head(method, path, body);
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
        self.now() - self.started_at
    }

    pub fn log(&self) -> Vec<String> {
        self.fake.world.log.borrow().clone()
    }

    /// The records of all requests, as the log has them.
    pub fn records(&self) -> Vec<Value> {
        self.fake.world.records.borrow().clone()
    }

    /// The record of the last request.
    pub fn record(&self) -> Value {
        self.records().pop().expect("a record")
    }

    /// The next requests come to another isolate.
    pub fn new_isolate(&mut self) {
        self.fake.isolate = Rc::default();
    }

    /// Clients have this key from now on.
    pub fn use_key(&mut self, key: &'static str) {
        self.key = key;
    }

    /// From now on, the platform records spans.
    pub fn trace(&self) {
        self.fake.world.is_traced.set(true);
    }

    /// The beginnings and ends of spans, with their attributes.
    pub fn spans(&self) -> Vec<String> {
        self.fake.world.spans.borrow().clone()
    }

    /// The data points of all requests.
    pub fn points(&self) -> Vec<String> {
        self.fake.world.points.borrow().clone()
    }

    pub fn calls(&self) -> Vec<Rc<CallState>> {
        self.fake.world.calls.borrow().clone()
    }

    /// The number of pipes that had a filter.
    pub fn filtered_pipes(&self) -> usize {
        self.fake.world.filtered_pipes.get()
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

    /// The class of the failure that health has recorded for the first deployment; empty: none.
    pub fn last_error(&self) -> String {
        let health = serde_json::to_value(&self.health()[0]).unwrap();
        health["last_error"]["class"].as_str().unwrap_or_default().to_owned()
    }

    /// The number of attempts in flight.
    pub fn in_flight(&self) -> u32 {
        let routes = self.fake.isolate.current().expect("routes");
        let health = routes.health.borrow();
        (0..routes.graph.deployments.len()).map(|id| health.in_flight(id, self.now())).sum()
    }

    /// The ledgers of limits.
    pub fn ledgers(&self) -> &FakeLedgers {
        &self.fake.world.ledgers
    }

    /// What is spent, leased and free of a meter.
    pub fn limit(&self, ledger: &str, meter: &str) -> (u64, u64, u64) {
        self.ledgers().usage(ledger, meter, self.now())
    }

    /// From now on there are Durable Objects.
    pub fn with_objects(&self) {
        self.fake.world.objects.replace(Some(Rc::default()));
    }

    /// From now on there is a registry.
    pub fn with_registry(&self) {
        self.fake.world.registry.replace(Some(Rc::default()));
    }

    fn registry(&self) -> Rc<FakeRegistry> {
        self.fake.world.registry.borrow().clone().expect("a registry")
    }

    /// All that the registry stores and ever received.
    pub fn registry_text(&self) -> String {
        self.registry().text()
    }

    /// All that the store has, with the names.
    pub fn store_text(&self) -> String {
        format!("{:?}", self.fake.world.documents.borrow())
    }

    /// The documents that were read so far, in order.
    pub fn all_reads(&self) -> Vec<String> {
        self.fake.world.reads.borrow().clone()
    }

    /// How often the registry was asked for a path.
    pub fn asked_registry(&self, path: &str) -> usize {
        self.registry().asked.borrow().iter().filter(|asked| *asked == path).count()
    }

    /// Requests for this path do not reach the registry.
    pub fn lose_registry(&self, path: &str) {
        self.registry().lost.borrow_mut().push(path.to_owned());
    }

    /// The answers of the registry to requests for this path get lost.
    pub fn lose_registry_answers(&self, path: &str) {
        self.registry().unanswered.borrow_mut().push(path.to_owned());
    }

    /// The registry can be reached again.
    pub fn find_registry(&self) {
        self.registry().lost.borrow_mut().clear();
        self.registry().unanswered.borrow_mut().clear();
    }

    /// Whether the store refuses writes.
    pub fn refuse_writes(&self, refuses: bool) {
        self.fake.world.refuses_writes.set(refuses);
    }

    fn objects(&self) -> Rc<FakeObjects> {
        self.fake.world.objects.borrow().clone().expect("objects")
    }

    /// Evicts all objects. Their rows stay.
    pub fn evict_objects(&self) {
        self.objects().evict();
    }

    /// The object cannot be reached.
    pub fn lose_object(&self, name: &str) {
        self.objects().lost.borrow_mut().push(name.to_owned());
    }

    /// All objects can be reached again.
    pub fn find_objects(&self) {
        self.objects().lost.borrow_mut().clear();
    }

    /// Whether the answers of objects are lost.
    pub fn lose_answers(&self, loses: bool) {
        self.objects().loses_answers.set(loses);
    }

    /// How often an object was asked for a path, for example `default/hub counters`.
    pub fn asked(&self, what: &str) -> usize {
        self.objects().asked(what)
    }

    /// The counters that an object has gathered.
    pub fn gathered(&self, name: &str) -> Counters {
        self.objects().gathered(&self.fake, name)
    }

    /// Sends a request with the admin token, and waits for its answer.
    pub fn admin_accepting(&mut self, method: &str, path: &str, accept: &str) -> Answer {
        let head =
            format!("{method}\nhttps://gateway{path}\nauthorization\nBearer admin\naccept\n{accept}\n");
        let (fake, done) = (self.fake.clone(), Rc::new(RefCell::new(None)));
        let answered = Rc::clone(&done);
        let task = async move {
            answered.replace(Some(answer(serve_while_connected(&fake, &head).await)));
        };
        self.fake.spawner.spawn_local(task).unwrap();
        loop {
            self.pool.run_until_stalled();
            if let Some(answer) = done.take() {
                return answer;
            }
            assert!(self.jump(), "nothing goes on; log: {:?}", self.log());
        }
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
        ClientReply::Upstream { call, withheld, headers: own, body } => {
            let is_passed = |name: &str| !withheld.lines().any(|withheld| withheld == name);
            let mut headers = Headers::of(call.headers().iter().filter(|(name, _)| is_passed(name)));
            headers.extend(own.iter().map(|(name, value)| (name, value.to_owned())));
            let body = match body {
                ReplyBody::AsRead => Body::Bytes(call.read_at_once()),
                ReplyBody::Bytes(bytes) => Body::Bytes(bytes),
                ReplyBody::Stream(client) => Body::Stream(client),
            };
            Answer { status: call.status(), headers, body }
        }
    }
}

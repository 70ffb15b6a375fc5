//! The platform as one request sees it. The host module serves the request itself and its upstream
//! calls; the `worker` crate serves the rest.

use std::rc::Rc;

use worker::web_sys::{ReadableStream, Request};
use worker::{Context, Env};

use super::object_calls::{self, WithBindings};
use super::tasks::background;
use super::{document_store, host, ledger_object, own_calls, randomness, registry_object, tasks, wait};
use crate::request::access_keys::AccessKey;
use crate::serve::isolate_memory::Isolate;
use crate::serve::platform::{
    BodyLimits, BodyStart, ByteStream, Platform, PlatformError, ReceivedBody, StoredText, UploadError, Work,
};
use crate::vocabulary::facts::Place;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Millis;

/// The binding of the Analytics Engine dataset. `writeRecord` of the host module has the name, too,
/// so that it does not cross with each record.
const METRICS: &str = "METRICS";

thread_local! {
    static ISOLATE: Rc<Isolate> = Rc::default();
}

/// A request, and the platform around it.
#[derive(Clone)]
pub struct WorkerRequest(Rc<Parts>);

struct Parts {
    exchange: host::Exchange,
    env: Env,
    context: Context,
    isolate: Rc<Isolate>,
}

impl WorkerRequest {
    /// Made from the arguments of the fetch handler.
    pub fn new(request: &Request, env: Env, context: Context) -> Self {
        let (exchange, isolate) = (host::Exchange::new(request), ISOLATE.with(Rc::clone));
        Self(Rc::new(Parts { exchange, env, context, isolate }))
    }

    /// The request itself.
    pub fn exchange(&self) -> &host::Exchange {
        &self.0.exchange
    }
}

impl WithBindings for WorkerRequest {
    fn env(&self) -> &Env {
        &self.0.env
    }

    fn timers(&self) -> &host::Timers {
        &self.0.exchange
    }
}

impl Platform for WorkerRequest {
    type Call = host::HostCall;
    type Stream = ReadableStream;
    type Client = host::ClientEnd;
    type ClientBody = ReadableStream;

    fn isolate(&self) -> &Isolate {
        &self.0.isolate
    }

    fn seed(&self) -> [u8; 32] {
        randomness::seed()
    }

    fn warn(&self, line: &str) {
        worker::console_warn!("{line}");
    }

    fn has_metrics(&self) -> bool {
        self.0.env.get_binding::<worker::AnalyticsEngineDataset>(METRICS).is_ok()
    }

    fn write_record(&self, record: &str) {
        host::write_record(&self.0.env, record);
    }

    fn is_traced(&self) -> bool {
        self.0.exchange.is_traced()
    }

    fn begin_span(&self, attempt: u32, attributes: &str) {
        self.0.exchange.begin_span(attempt, attributes);
    }

    fn end_span(&self, attempt: u32, attributes: &str) {
        self.0.exchange.end_span(attempt, attributes);
    }

    fn end_trace(&self, attributes: &str) {
        self.0.exchange.end_trace(attributes);
    }

    fn work(&self) -> Work {
        Work { tasks: tasks::task_count(), waits: wait::count() }
    }

    fn in_background(&self, work: impl Future<Output = ()> + 'static) {
        // This does not use the method of the crate, because that panics if the context has ended.
        // Such a context has nothing to lose.
        let _ = self.0.context.as_ref().wait_until(&background(work));
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.env.var(name).ok().map(|value| value.to_string()).filter(|value| !value.is_empty())
    }

    fn has_secret(&self, name: &str) -> bool {
        self.0.env.secret_store(name).is_ok()
    }

    async fn read_secret(&self, name: &str) -> Result<Option<String>, PlatformError> {
        Ok(self.0.env.secret_store(name)?.get().await?)
    }

    async fn read_document(&self, key: &str) -> Result<Option<StoredText>, PlatformError> {
        document_store::read(&self.0.env, key).await
    }

    async fn write_document(&self, key: &str, text: &str) -> Result<(), PlatformError> {
        document_store::write(&self.0.env, key, text, None).await
    }

    async fn post(&self, url: &str, headers: &Headers, body: String) -> Result<u16, PlatformError> {
        own_calls::post(url, headers, body).await
    }

    async fn get(&self, url: &str, within: Millis) -> Result<(u16, String), PlatformError> {
        host::fetch_text(url, None, within).await
    }

    async fn send_form(
        &self,
        url: &str,
        form: String,
        within: Millis,
    ) -> Result<(u16, String), PlatformError> {
        host::fetch_text(url, Some(form), within).await
    }

    async fn is_signed(
        &self,
        key: &AccessKey,
        signed: &str,
        signature: &[u8],
    ) -> Result<bool, PlatformError> {
        host::is_signed(key, signed, signature).await
    }

    fn has_registry(&self) -> bool {
        registry_object::is_bound(&self.0.env)
    }

    async fn ask_registry(&self, path: &str, body: String) -> Result<(u16, String), PlatformError> {
        registry_object::ask(&self.0.env, path, body).await
    }

    async fn ask_ledger(
        &self,
        ledger: &str,
        path: &str,
        body: String,
    ) -> Result<(u16, String), PlatformError> {
        ledger_object::ask(&self.0.env, ledger, path, body).await
    }

    fn has_objects(&self) -> bool {
        object_calls::is_bound(&self.0.env)
    }

    fn place(&self) -> Place {
        self.0.exchange.place()
    }

    async fn read_body(&self, length: usize, limits: BodyLimits) -> Result<ReceivedBody, UploadError> {
        self.0.exchange.read(length, limits).await
    }

    async fn read_body_start(&self, most: usize, limits: BodyLimits) -> Result<BodyStart, UploadError> {
        self.0.exchange.read_start(most, limits).await
    }

    fn body_rest(&self) -> <ReadableStream as ByteStream>::Reader {
        self.0.exchange.rest().chunks()
    }

    fn body_part(&self, start: usize, end: usize) -> Vec<u8> {
        self.0.exchange.part(start, end)
    }

    fn release_body(&self) {
        self.0.exchange.release();
    }

    async fn keep_answer(&self, key: &str, headers: &Headers, answer: &[u8]) -> Result<(), PlatformError> {
        host::keep_answer(key, headers, answer).await
    }

    async fn client_left(&self) {
        self.0.exchange.client_left().await;
    }

    fn call(&self) -> host::HostCall {
        self.0.exchange.call()
    }

    fn client_stream(&self) -> (host::ClientEnd, ReadableStream) {
        host::client_stream()
    }
}

//! Tasks: the handlers of requests, and the work that runs beside them.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;

use worker::js_sys::Promise;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::future_to_promise;

use super::clock;

thread_local! {
    /// The number of tasks that have not ended.
    static TASKS: Cell<usize> = const { Cell::new(0) };
}

/// Runs a task. Each poll first reads the clock.
pub async fn timed<T>(task: impl Future<Output = T>) -> T {
    let _counted = Counted::new();
    let mut task = pin!(task);
    poll_fn(|context| {
        clock::read();
        task.as_mut().poll(context)
    })
    .await
}

/// The number of tasks that have not ended.
pub fn task_count() -> usize {
    TASKS.get()
}

/// Counts a task until it is dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        TASKS.set(TASKS.get() + 1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        TASKS.set(TASKS.get().saturating_sub(1));
    }
}

/// Starts work that runs beside its caller. The promise resolves when the work ends.
pub fn background(work: impl Future<Output = ()> + 'static) -> Promise {
    future_to_promise(async move {
        timed(work).await;
        Ok(JsValue::UNDEFINED)
    })
}

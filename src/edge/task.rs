//! Tasks: what runs for a request, and what it waits for.
//!
//! An executor of our own, for what a wait costs on the way of every request. That of wasm-bindgen-futures makes two closures for each
//! promise, on both sides of the boundary, and takes a turn of the microtask queue for each wake-up. Here a wait is a number: the host
//! calls [`told`] with it once its promise has settled, and the task that waits goes on within that call.
//!
//! A task has one alarm, however many waits with a limit are in it. It is set anew only when something is due sooner, so that a
//! request which is served in time costs one timer of the runtime.
//!
//! Invariants: a task runs in the context of the request that it was spawned for, since only events of that request wake it; a
//! task is never run from within itself; numbers are never used twice, so that news for what is gone changes nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use super::{clock, host, isolate};
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Millis;

/// Timers of the runtime count in 32 bits; a day is longer than anything here may last.
const LONGEST_ALARM_MS: Millis = 86_400_000;

thread_local! {
    static TASKS: RefCell<BTreeMap<u32, Task>> = const { RefCell::new(BTreeMap::new()) };
    static WAITS: RefCell<BTreeMap<u32, State>> = const { RefCell::new(BTreeMap::new()) };
    /// The task that runs, where one does.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
    /// The latest number of a task or a wait, once there is one.
    static LATEST: Cell<Option<u32>> = const { Cell::new(None) };
}

struct Task {
    /// Taken out while it runs.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    alarm: Option<Alarm>,
}

/// When the host wakes a task, and the timer that does it. Dropped, it does not.
struct Alarm {
    at: Millis,
    timer: JsValue,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        host::disarm(&self.timer);
    }
}

/// Begins a task, and runs it up to its first wait.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> u32 {
    begin(Box::pin(future))
}

fn begin(future: Pin<Box<dyn Future<Output = ()>>>) -> u32 {
    let id = next_number();
    TASKS.with_borrow_mut(|tasks| tasks.insert(id, Task { future: Some(future), alarm: None }));
    run(id);
    id
}

/// A promise that is fulfilled when `future` has ended.
pub fn promise(future: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let mut future = Some(future);
    Promise::new(&mut |resolve, reject| {
        let Some(future) = future.take() else { return };
        spawn(async move {
            // What comes of a call of `resolve` is nothing.
            let _ = match future.await {
                Ok(value) => resolve.call1(&JsValue::UNDEFINED, &value),
                Err(error) => reject.call1(&JsValue::UNDEFINED, &error),
            };
        });
    })
}

/// Ends a task where it stands: what it holds is dropped.
#[wasm_bindgen]
pub fn cancel(task: u32) {
    let gone = TASKS.with_borrow_mut(|tasks| tasks.remove(&task));
    drop(gone);
}

/// Called by the host when the alarm of a task rings.
#[wasm_bindgen]
pub fn rang(task: u32) {
    TASKS.with_borrow_mut(|tasks| {
        if let Some(task) = tasks.get_mut(&task) {
            task.alarm = None;
        }
    });
    run(task);
}

/// Has the running task run again by `at`.
pub fn wake_by(at: Millis) {
    let id = CURRENT.get();
    TASKS.with_borrow_mut(|tasks| {
        let Some(task) = tasks.get_mut(&id) else { return };
        if task.alarm.as_ref().is_some_and(|alarm| alarm.at <= at) {
            return;
        }
        let after_ms = at.saturating_sub(clock::now()).min(LONGEST_ALARM_MS);
        let timer = host::arm(id, u32::try_from(after_ms).unwrap_or(u32::MAX));
        task.alarm = Some(Alarm { at, timer });
    });
}

fn run(id: u32) {
    let future = TASKS.with_borrow_mut(|tasks| tasks.get_mut(&id).and_then(|task| task.future.take()));
    let Some(mut future) = future else { return };
    clock::read();
    let outer = CURRENT.replace(id);
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    CURRENT.set(outer);
    let done = TASKS.with_borrow_mut(|tasks| match polled {
        Poll::Ready(()) => tasks.remove(&id),
        Poll::Pending => {
            if let Some(task) = tasks.get_mut(&id) {
                task.future = Some(future);
            }
            None
        }
    });
    drop(done);
}

/// The first one is drawn: what was asked for by an instance that trapped may yet be told to the next one.
fn next_number() -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    let number = LATEST.get().unwrap_or_else(|| isolate::entropy() as u32).wrapping_add(1);
    LATEST.set(Some(number));
    number
}

/// What the host tells of something that was waited for, or the exception.
pub type News = Result<Told, JsValue>;

/// What came of a wait.
pub enum Told {
    /// The value of a promise.
    Value(JsValue),
    /// A request's body is there: how many bytes, and these if it is short.
    Body(usize, Option<Vec<u8>>),
    /// An upstream's answer.
    Answer(Answer),
}

/// An upstream's answer.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// Its body, where that was read at once.
    pub body: Option<Vec<u8>>,
}

/// Something that the host will tell. Dropped, it is not waited for any more.
pub struct Wait {
    number: u32,
}

enum State {
    /// Nothing was told yet; this task waits.
    Open(u32),
    Told(News),
}

impl Wait {
    /// A wait whose number `ask` gives to the host.
    pub fn begin(ask: impl FnOnce(u32)) -> Self {
        let number = next_number();
        WAITS.with_borrow_mut(|waits| waits.insert(number, State::Open(CURRENT.get())));
        ask(number);
        Self { number }
    }

    /// The end of a promise.
    pub fn of(promise: &Promise) -> Settled {
        Settled(Self::begin(|wait| host::settle(promise, wait)))
    }
}

/// The end of a promise that is waited for.
pub struct Settled(Wait);

impl Future for Settled {
    type Output = Result<JsValue, JsValue>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|news| match news? {
            Told::Value(value) => Ok(value),
            Told::Body(..) | Told::Answer(_) => Ok(JsValue::UNDEFINED),
        })
    }
}

impl Future for Wait {
    type Output = News;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<News> {
        WAITS.with_borrow_mut(|waits| match waits.get_mut(&self.number) {
            // A future may have moved to another task.
            Some(State::Open(task)) => {
                *task = CURRENT.get();
                Poll::Pending
            }
            Some(State::Told(_)) => match waits.remove(&self.number) {
                Some(State::Told(news)) => Poll::Ready(news),
                _ => Poll::Pending,
            },
            None => Poll::Pending,
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        WAITS.with_borrow_mut(|waits| waits.remove(&self.number));
    }
}

/// Called by the host: what was waited for is there.
#[wasm_bindgen]
pub fn told(wait: u32, value: JsValue) {
    tell(wait, Ok(Told::Value(value)));
}

/// Called by the host: the body of a request is there, with so many bytes. `short`: all of them, if they are few.
#[wasm_bindgen]
pub fn received(wait: u32, length: usize, short: Option<Vec<u8>>) {
    tell(wait, Ok(Told::Body(length, short)));
}

/// Called by the host: an upstream has answered.
#[wasm_bindgen]
pub fn answered(wait: u32, status: u16, headers: String, body: Option<Vec<u8>>) {
    tell(wait, Ok(Told::Answer(Answer { status, headers: Headers::parse(headers), body })));
}

/// Called by the host: what was waited for failed.
#[wasm_bindgen]
pub fn failed(wait: u32, error: JsValue) {
    tell(wait, Err(error));
}

fn tell(wait: u32, news: News) {
    let task = WAITS.with_borrow_mut(|waits| {
        let state = waits.get_mut(&wait)?;
        let State::Open(task) = *state else { return None };
        *state = State::Told(news);
        Some(task)
    });
    if let Some(task) = task {
        run(task);
    }
}

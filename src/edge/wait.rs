//! Waits for the host. Each wait is a number: the host module passes it to the one closure of this
//! instance when the wait ends.
//!
//! With `JsFuture`, each awaited promise costs two closures and the calls that create and drop
//! them. Here all waits of an instance share one closure, which is created once (docs/benchmarks.md
//! says what that saves).
//!
//! Invariants: a number is never used twice, so a late call for a dropped wait changes nothing. The
//! first number is random, so a call for a wait of a trapped instance does not match a wait of the
//! next instance.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::randomness;
use crate::serve::platform::PlatformError;

thread_local! {
    static WAITS: RefCell<BTreeMap<u32, State>> = const { RefCell::new(BTreeMap::new()) };
    /// The latest number, once there is one.
    static LATEST: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The result that the host reports at the end of a wait.
#[derive(Debug, Default)]
pub struct Settled {
    /// A number. Its meaning depends on the wait.
    pub code: u32,
    /// A text. Its meaning depends on the wait.
    pub text: Option<String>,
    /// Bytes. Their meaning depends on the wait.
    pub bytes: Option<Vec<u8>>,
}

enum State {
    Pending(Option<Waker>),
    Settled(Result<Settled, PlatformError>),
}

/// Ends a wait. A negative code is a failure with a text. Returns whether a wait with this number
/// was open.
pub fn settle(wait: u32, code: i32, text: Option<String>, bytes: Option<Vec<u8>>) -> bool {
    let result = match u32::try_from(code) {
        Ok(code) => Ok(Settled { code, text, bytes }),
        Err(_) => Err(PlatformError::new(text.unwrap_or_default())),
    };
    let waker = WAITS.with_borrow_mut(|waits| {
        let state = waits.get_mut(&wait)?;
        let State::Pending(waker) = state else { return None };
        let waker = waker.take();
        *state = State::Settled(result);
        Some(waker)
    });
    let Some(waker) = waker else { return false };
    if let Some(waker) = waker {
        waker.wake();
    }
    true
}

/// The number of open waits.
pub fn count() -> usize {
    WAITS.with_borrow(BTreeMap::len)
}

/// A wait. If it is dropped, its end is ignored.
#[derive(Debug)]
pub struct Wait {
    number: u32,
}

impl Wait {
    /// Begins a wait. `ask` passes its number to the host.
    pub fn begin(ask: impl FnOnce(u32)) -> Self {
        let number = LATEST.get().unwrap_or_else(|| u32::from_le_bytes(randomness::seed())).wrapping_add(1);
        LATEST.set(Some(number));
        WAITS.with_borrow_mut(|waits| waits.insert(number, State::Pending(None)));
        let wait = Self { number };
        ask(number);
        wait
    }

    /// The number of this wait.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Future for Wait {
    type Output = Result<Settled, PlatformError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        WAITS.with_borrow_mut(|waits| {
            if let Some(State::Pending(waker)) = waits.get_mut(&self.number) {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            match waits.remove(&self.number) {
                Some(State::Settled(result)) => Poll::Ready(result),
                _ => Poll::Pending,
            }
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        WAITS.with_borrow_mut(|waits| waits.remove(&self.number));
    }
}

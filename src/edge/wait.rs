//! Waits for the host: each is a number, with which the host module calls the one closure of this instance.
//!
//! A promise of JavaScript that is awaited by `JsFuture` costs two closures and the calls that make and drop them. Here all
//! waits of an instance share one closure, which is made once (docs/benchmarks.md tells what that saves).
//!
//! Invariants: a number is never used twice, so that a late call for a wait that was dropped changes nothing; the first number
//! is drawn, so that a call for a wait of an instance that trapped is none for the next instance either.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::clock;
use crate::serve::platform::PlatformError;

thread_local! {
    static WAITS: RefCell<BTreeMap<u32, State>> = const { RefCell::new(BTreeMap::new()) };
    /// The latest number, once there is one.
    static LATEST: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The code with which the host tells a failure.
const FAILED: i32 = -1;

/// What the host tells of the end of a wait.
#[derive(Debug, Default)]
pub struct Settled {
    /// A number, whose meaning depends on what was waited for.
    pub code: u32,
    /// A text, likewise.
    pub text: Option<String>,
    /// Bytes, likewise.
    pub bytes: Option<Vec<u8>>,
}

enum State {
    Pending(Option<Waker>),
    Settled(Result<Settled, PlatformError>),
}

/// Ends a wait. Whether there was one of that number.
pub fn settle(wait: u32, code: i32, text: Option<String>, bytes: Option<Vec<u8>>) -> bool {
    let result = match u32::try_from(code) {
        Ok(code) => Ok(Settled { code, text, bytes }),
        Err(_) => Err(PlatformError::new(text.unwrap_or_default())),
    };
    debug_assert!(result.is_ok() || code == FAILED);
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

/// How many waits there are.
pub fn count() -> usize {
    WAITS.with_borrow(BTreeMap::len)
}

/// A wait. Dropped, its end is ignored.
#[derive(Debug)]
pub struct Wait {
    number: u32,
}

impl Wait {
    /// A wait whose number `ask` gives to the host.
    pub fn begin(ask: impl FnOnce(u32)) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let number = LATEST.get().unwrap_or_else(|| clock::seed() as u32).wrapping_add(1);
        LATEST.set(Some(number));
        WAITS.with_borrow_mut(|waits| waits.insert(number, State::Pending(None)));
        let wait = Self { number };
        ask(number);
        wait
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Future for Wait {
    type Output = Result<Settled, PlatformError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        WAITS.with_borrow_mut(|waits| match waits.remove(&self.number) {
            Some(State::Settled(result)) => Poll::Ready(result),
            Some(State::Pending(_)) => {
                waits.insert(self.number, State::Pending(Some(context.waker().clone())));
                Poll::Pending
            }
            None => Poll::Pending,
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        WAITS.with_borrow_mut(|waits| waits.remove(&self.number));
    }
}

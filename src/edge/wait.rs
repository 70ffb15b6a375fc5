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
use crate::stream::usage_filter::{Passing, UsageFilter};

thread_local! {
    static WAITS: RefCell<BTreeMap<u32, OpenWait>> = const { RefCell::new(BTreeMap::new()) };
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

struct OpenWait {
    state: State,
    /// Of the end of a pipe: what filters the bytes of the pipe. The host passes them under the
    /// number of the wait.
    filter: Option<Box<UsageFilter>>,
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
        let open = waits.get_mut(&wait)?;
        let State::Pending(waker) = &mut open.state else { return None };
        let waker = waker.take();
        open.state = State::Settled(result);
        Some(waker)
    });
    let Some(waker) = waker else { return false };
    if let Some(waker) = waker {
        waker.wake();
    }
    true
}

/// The bytes that pass a pipe instead of a piece; `None`: the piece as it is. `has_ended`: the
/// stream has ended, and the piece is empty. Nothing passes of a pipe that nobody waits for any
/// more.
pub fn passing(wait: u32, piece: &[u8], has_ended: bool) -> Option<Vec<u8>> {
    WAITS.with_borrow_mut(|waits| {
        let filter = waits.get_mut(&wait).and_then(|open| open.filter.as_deref_mut());
        let Some(filter) = filter else { return Some(Vec::new()) };
        if has_ended {
            return Some(filter.end());
        }
        match filter.push(piece) {
            Passing::Unchanged => None,
            Passing::Bytes(bytes) => Some(bytes),
        }
    })
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
        WAITS.with_borrow_mut(|waits| {
            waits.insert(number, OpenWait { state: State::Pending(None), filter: None })
        });
        let wait = Self { number };
        ask(number);
        wait
    }

    /// Adds the filter of the pipe whose end this is.
    pub fn filter(&self, filter: UsageFilter) {
        WAITS.with_borrow_mut(|waits| {
            if let Some(open) = waits.get_mut(&self.number) {
                open.filter = Some(Box::new(filter));
            }
        });
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
            if let Some(OpenWait { state: State::Pending(waker), .. }) = waits.get_mut(&self.number) {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            match waits.remove(&self.number).map(|open| open.state) {
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

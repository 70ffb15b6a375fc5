//! A client that leaves before it has an answer.
//!
//! The runtime then forgets the request, and what runs for it is neither continued nor dropped: it would lie in memory for as long as
//! the isolate lives, and its attempts would count as in flight. So it has to be ended here.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::AbortSignal;

/// Is ready once the client of a request has left. Needs the compatibility flag `enable_request_signal`.
pub struct Gone {
    signal: AbortSignal,
    state: Rc<State>,
    _on_abort: Closure<dyn FnMut()>,
}

#[derive(Default)]
struct State {
    has_left: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Gone {
    /// Listens to the signal of a request.
    pub fn of(signal: AbortSignal) -> Self {
        let state = Rc::new(State::default());
        let told = Rc::clone(&state);
        let on_abort = Closure::new(move || {
            told.has_left.set(true);
            if let Some(waker) = told.waker.take() {
                waker.wake();
            }
        });
        signal.set_onabort(Some(on_abort.as_ref().unchecked_ref()));
        Self { signal, state, _on_abort: on_abort }
    }
}

impl Future for Gone {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.state.has_left.get() {
            return Poll::Ready(());
        }
        self.state.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.signal.set_onabort(None);
    }
}

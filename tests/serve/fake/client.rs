//! The client's end of a stream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use switchyard::serve::platform::{ClientStream, Clock, PlatformError};
use switchyard::vocabulary::time::{Instant, Millis};

use super::Fake;

/// The client's end of a stream.
#[derive(Clone)]
pub struct FakeClient(Rc<ClientState>);

struct ClientState {
    fake: Fake,
    written: RefCell<Vec<u8>>,
    has_left: Cell<bool>,
    closed_at: Cell<Option<Instant>>,
    is_broken: Cell<bool>,
    /// How long it takes to read a piece.
    reads_for: Millis,
}

impl std::fmt::Debug for FakeClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", String::from_utf8_lossy(&self.0.written.borrow()))
    }
}

impl FakeClient {
    pub(super) fn of(fake: &Fake) -> Self {
        Self::that_reads_for(fake, Millis::ZERO)
    }

    pub(super) fn that_reads_for(fake: &Fake, reads_for: Millis) -> Self {
        Self(Rc::new(ClientState {
            fake: fake.clone(),
            written: RefCell::default(),
            has_left: Cell::default(),
            closed_at: Cell::default(),
            is_broken: Cell::default(),
            reads_for,
        }))
    }

    pub(super) fn written(&self) -> Vec<u8> {
        self.0.written.borrow().clone()
    }

    pub(super) fn break_off(&self) {
        self.0.is_broken.set(true);
    }

    /// The client leaves.
    pub fn leave(&self) {
        self.0.has_left.set(true);
    }

    /// Whether the stream ended cleanly.
    pub fn is_closed(&self) -> bool {
        self.closed_at().is_some()
    }

    /// When the stream ended cleanly.
    pub(super) fn closed_at(&self) -> Option<Instant> {
        self.0.closed_at.get()
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
        if self.0.reads_for > Millis::ZERO {
            self.0.fake.at(self.0.fake.now() + self.0.reads_for).await;
        }
        self.0.written.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    async fn close(&self) -> Result<(), PlatformError> {
        if self.0.has_left.get() {
            return Err(PlatformError::new("the client has left"));
        }
        self.0.closed_at.set(Some(self.0.fake.now()));
        Ok(())
    }
}

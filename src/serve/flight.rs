//! Single flight: of equal requests at the same moment, one asks a provider, and the others wait
//! for its answer.
//!
//! The others look at the state from time to time. A request cannot wake another one: the runtime
//! allows each request to use only what it has begun itself.
//!
//! Invariant: a flight ends. Its leader lands it with an answer, or fails it when it is dropped,
//! whatever becomes of its request.

use std::cell::RefCell;
use std::rc::Rc;

use crate::vocabulary::time::Instant;

/// A complete answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedAnswer {
    /// Whether it is a stream of events. If not, it is JSON.
    pub is_stream: bool,
    /// The whole body.
    pub bytes: Vec<u8>,
    /// When it was complete.
    pub cached_at: Instant,
}

impl CachedAnswer {
    /// Its media type.
    pub fn content_type(&self) -> &'static str {
        if self.is_stream { "text/event-stream; charset=utf-8" } else { "application/json" }
    }
}

/// How far a flight has come.
#[derive(Debug, Clone, Default)]
pub enum FlightState {
    /// The leader waits for its answer.
    #[default]
    Running,
    /// The answer of the leader.
    Landed(Rc<CachedAnswer>),
    /// The leader has no answer that could be kept.
    Failed,
}

/// A request that waits for its answer, and for which others wait.
#[derive(Debug, Default)]
pub struct Flight(RefCell<FlightState>);

impl Flight {
    /// How far it has come.
    pub fn state(&self) -> FlightState {
        self.0.borrow().clone()
    }

    fn is_running(&self) -> bool {
        matches!(*self.0.borrow(), FlightState::Running)
    }
}

/// The request that leads a flight. If it is dropped before it lands, the flight fails.
#[derive(Debug)]
pub struct FlightLeader(Rc<Flight>);

impl Drop for FlightLeader {
    fn drop(&mut self) {
        if self.0.is_running() {
            self.0.0.replace(FlightState::Failed);
        }
    }
}

/// The flights of an isolate, with the keys of their requests. They are few: a map would add 4 KB
/// to the Wasm.
#[derive(Debug, Default)]
pub struct Flights(RefCell<Vec<(String, Rc<Flight>)>>);

impl Flights {
    /// Begins a flight, or finds the one that is under way.
    ///
    /// # Errors
    /// The flight that is under way.
    pub fn begin(&self, key: &str) -> Result<FlightLeader, Rc<Flight>> {
        let mut flights = self.0.borrow_mut();
        flights.retain(|(_, flight)| flight.is_running());
        if let Some((_, flight)) = flights.iter().find(|(known, _)| known == key) {
            return Err(Rc::clone(flight));
        }
        let flight = Rc::<Flight>::default();
        flights.push((key.to_owned(), Rc::clone(&flight)));
        Ok(FlightLeader(flight))
    }

    /// Ends a flight with an answer. Only those who wait for it hold the answer from now on.
    pub fn land(&self, leader: &FlightLeader, answer: Rc<CachedAnswer>) {
        leader.0.0.replace(FlightState::Landed(answer));
        self.0.borrow_mut().retain(|(_, flight)| flight.is_running());
    }
}

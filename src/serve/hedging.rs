//! The attempts of one request that are in flight: one attempt, or one attempt and its hedge.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use crate::attempt::failure::Failure;

type BoxedAttempt<'a, A> = Pin<Box<dyn Future<Output = Result<A, Failure>> + 'a>>;

/// Attempts in flight, each with its number, and a timer for the hedge. Dropping it also ends the
/// attempts at the upstream. `A`: an answer at its commit point.
pub struct Attempts<'a, A> {
    attempts: Vec<(u32, BoxedAttempt<'a, A>)>,
    hedge_timer: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

/// The first event of the attempts in flight.
pub enum FirstEvent<A> {
    /// An attempt reached its commit point.
    Committed(u32, A),
    /// An attempt failed.
    Failed(u32, Failure),
    /// The hedge timer has ended.
    HedgeDue,
}

impl<'a, A> Attempts<'a, A> {
    /// No attempts.
    pub fn new() -> Self {
        Self { attempts: Vec::new(), hedge_timer: None }
    }

    /// Begins an attempt beside those in flight. `hedge_timer`: ends when a hedge is due.
    pub fn begin(
        &mut self,
        number: u32,
        attempt: impl Future<Output = Result<A, Failure>> + 'a,
        hedge_timer: Option<impl Future<Output = ()> + 'a>,
    ) {
        self.attempts.push((number, Box::pin(attempt)));
        self.hedge_timer = match hedge_timer {
            Some(timer) => Some(Box::pin(timer)),
            None => None,
        };
    }

    /// Waits for the first event.
    pub async fn first(&mut self) -> FirstEvent<A> {
        poll_fn(|context| {
            for index in 0..self.attempts.len() {
                let Some((number, attempt)) = self.attempts.get_mut(index) else { break };
                if let Poll::Ready(result) = attempt.as_mut().poll(context) {
                    let number = *number;
                    drop(self.attempts.swap_remove(index));
                    return Poll::Ready(match result {
                        Ok(answer) => FirstEvent::Committed(number, answer),
                        Err(failure) => FirstEvent::Failed(number, failure),
                    });
                }
            }
            match self.hedge_timer.as_mut().map(|timer| timer.as_mut().poll(context)) {
                Some(Poll::Ready(())) => {
                    self.hedge_timer = None;
                    Poll::Ready(FirstEvent::HedgeDue)
                }
                _ => Poll::Pending,
            }
        })
        .await
    }
}

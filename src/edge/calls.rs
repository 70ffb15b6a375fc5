//! The attempts of one request that are under way: one, or one and its hedge.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::call::Committed;
use super::clock;
use crate::attempt::failure::Failure;
use crate::vocabulary::time::Millis;

type Call<'a> = Pin<Box<dyn Future<Output = Result<Committed, Failure>> + 'a>>;

/// Attempts under way, each with its number, and a clock for the hedge. Dropped, they end at the upstream too.
#[derive(Default)]
pub struct Calls<'a> {
    calls: Vec<(u32, Call<'a>)>,
    late: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// What came first.
pub enum First {
    /// An attempt reached its commit point.
    Answer(u32, Committed),
    /// An attempt failed.
    Failure(u32, Failure),
    /// It is time for a hedge.
    Late,
}

impl<'a> Calls<'a> {
    /// Begins an attempt beside those that are under way. `hedge_after_ms`: when to say that it is late.
    pub fn begin(
        &mut self,
        number: u32,
        hedge_after_ms: Option<Millis>,
        call: impl Future<Output = Result<Committed, Failure>> + 'a,
    ) {
        self.calls.push((number, Box::pin(call)));
        self.late = None;
        if let Some(ms) = hedge_after_ms {
            self.late = Some(Box::pin(clock::sleep(ms)));
        }
    }

    /// Waits for what comes first.
    pub async fn first(&mut self) -> First {
        poll_fn(|context| {
            for index in 0..self.calls.len() {
                let Some((number, call)) = self.calls.get_mut(index) else { break };
                if let Poll::Ready(result) = call.as_mut().poll(context) {
                    let number = *number;
                    drop(self.calls.swap_remove(index));
                    return Poll::Ready(match result {
                        Ok(answer) => First::Answer(number, answer),
                        Err(failure) => First::Failure(number, failure),
                    });
                }
            }
            match self.late.as_mut().map(|late| late.as_mut().poll(context)) {
                Some(Poll::Ready(())) => {
                    self.late = None;
                    Poll::Ready(First::Late)
                }
                _ => Poll::Pending,
            }
        })
        .await
    }
}

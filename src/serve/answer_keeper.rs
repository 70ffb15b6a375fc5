//! Keeps the answer of a request in the cache, once it is complete.

use std::cell::RefCell;
use std::rc::Rc;

use super::flight::{CachedAnswer, FlightLeader};
use super::platform::Platform;
use crate::entry::cache_use::MOST_CACHED_BYTES;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::{Instant, Millis};

/// The header of an entry of the cache with the time at which its answer was complete, in
/// milliseconds since 1970.
const CACHED_AT: &str = "x-switchyard-cached-at";

/// The header with the time from which on the entry is not used any more.
const EXPIRES_AT: &str = "x-switchyard-expires-at";

/// Where the answer of a request is kept.
#[derive(Debug)]
pub struct AnswerKeeper {
    key: String,
    ttl_seconds: u32,
    leader: RefCell<Option<FlightLeader>>,
}

impl AnswerKeeper {
    /// Keeps an answer under this key. `leader`: of the flight that ends with it.
    pub(super) fn new(key: String, ttl_seconds: u32, leader: Option<FlightLeader>) -> Self {
        Self { key, ttl_seconds, leader: RefCell::new(leader) }
    }

    /// Keeps a complete answer, in the background. One that is too long is not kept.
    pub(super) fn keep<P: Platform>(&self, platform: &P, is_stream: bool, bytes: Vec<u8>) {
        if bytes.is_empty() || bytes.len() > MOST_CACHED_BYTES {
            return;
        }
        let now = platform.now();
        let answer = Rc::new(CachedAnswer { is_stream, bytes, cached_at: now });
        if let Some(leader) = self.leader.take() {
            platform.isolate().flights.land(&leader, Rc::clone(&answer));
        }
        let expires_at = now + Millis::new(1_000) * u64::from(self.ttl_seconds);
        let mut headers = Headers::default();
        headers.push("content-type", answer.content_type());
        headers.push("cache-control", &["max-age=", &self.ttl_seconds.to_string()].concat());
        headers.push(CACHED_AT, &now.epoch_ms().to_string());
        headers.push(EXPIRES_AT, &expires_at.epoch_ms().to_string());
        let (background, key) = (platform.clone(), self.key.clone());
        platform.in_background(async move {
            if let Err(error) = background.keep_answer(&key, &headers, &answer.bytes).await {
                background.warn(&format!("cache: an answer was not kept: {error}"));
            }
        });
    }
}

/// When the answer of an entry of the cache was complete. `None` if it is not used any more.
pub(super) fn cached_at(entry: &Headers, now: Instant) -> Option<Instant> {
    let time = |name| Some(Instant::from_epoch_ms(entry.get(name)?.parse().ok()?));
    time(EXPIRES_AT).filter(|expires_at| now < *expires_at)?;
    time(CACHED_AT)
}

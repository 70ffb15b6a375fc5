//! What issued keys use: the registry adds it up for each key. It is told in the background, one
//! message of an isolate for all its keys.

use super::counting::RunningFlush;
use super::platform::Platform;
use super::registry_link::ask;
use super::timing::sleep;
use crate::keys::key_uses::KeyUse;
use crate::registry::key_ledger::{KeysRequest, number_of};
use crate::vocabulary::time::Millis;

/// How long uses are gathered before the registry is told. With the answer of the registry, it is
/// less than the half minute that the platform allows for work after a request.
const TELL_AFTER_MS: Millis = Millis::new(10_000);
/// A message that was repeated, and one with what came since.
const MOST_MESSAGES: usize = 2;

/// Notes what the key with this id used, and that it is in use. Without a registry, nobody asks.
#[inline(never)]
pub(super) fn note<P: Platform>(platform: &P, id: &str, used: KeyUse) {
    let Some(number) = number_of(id).filter(|_| platform.has_registry()) else { return };
    if !platform.isolate().key_uses.borrow_mut().note(number, used, platform.now()) {
        return;
    }
    let running = RunningFlush::begin(platform);
    platform.in_background(async move {
        let platform = &running.0;
        sleep(platform, TELL_AFTER_MS).await;
        for _ in 0..MOST_MESSAGES {
            let waiting = &platform.isolate().key_uses;
            let taken = waiting.borrow_mut().take(platform.random(), platform.now());
            let Some(message) = taken else { break };
            // What does not arrive goes with the next use.
            let is_counted = ask(platform, "keys/used", &KeysRequest::of_uses(&message)).await.is_ok();
            if !is_counted || !waiting.borrow_mut().on_counted(&message) {
                break;
            }
        }
    });
}

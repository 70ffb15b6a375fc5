//! What issued keys use: the registry adds it up for each key. It is reported in the background,
//! with one message of an isolate for all its keys.

use super::counting::RunningFlush;
use super::platform::Platform;
use super::registry_link::{ask, value};
use crate::keys::key_uses::{KeyUse, ReportStep};
use crate::registry::key_ledger::{KeysRequest, UsedAnswer, number_of};

/// Notes what the key with this id used, and that it is in use. Without a registry, nobody asks.
#[inline(never)]
pub(super) fn note<P: Platform>(platform: &P, id: &str, used: KeyUse) {
    let Some(number) = number_of(id).filter(|_| platform.has_registry()) else { return };
    let began_at = platform.now();
    if !platform.isolate().key_uses.borrow_mut().note(number, used, began_at) {
        return;
    }
    let running = RunningFlush::begin(platform);
    platform.in_background(async move {
        let platform = &running.0;
        let waiting = &platform.isolate().key_uses;
        loop {
            let step = waiting.borrow_mut().next_step(began_at, platform.now());
            match step {
                ReportStep::Wait(at) => platform.sleep_until(at).await,
                ReportStep::End => break,
                ReportStep::Send => {
                    let taken = waiting.borrow_mut().take(platform.random(), platform.now());
                    let Some(message) = taken else { continue };
                    // What does not arrive goes again later, or with the next use.
                    let said = KeysRequest::of_uses(&message);
                    if let Ok((_, text)) = ask(platform, "keys/used", &said).await {
                        let UsedAnswer { next_ms } = value(&text).unwrap_or_default();
                        waiting.borrow_mut().on_counted(&message, next_ms, platform.now());
                    }
                }
            }
        }
    });
}

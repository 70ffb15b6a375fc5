//! The first bytes of an answer whose media type does not say whether it is a stream.

use super::committed::READ_BYTES;
use super::platform::{ByteReader, ByteStream, Clock};
use super::timing::until;
use crate::attempt::phase::{Phase, PhaseLimit, PhaseLimits};
use crate::attempt::success::begins_as_events;

/// Reads until the first bytes show whether the answer is a stream of events. `None`: it has ended
/// or broken before.
///
/// # Errors
/// The limit, if they do not come in time.
pub async fn read<C: Clock>(
    clock: &C,
    answer: &impl ByteStream,
    (limits, phase): (PhaseLimits, Phase),
) -> Result<(Vec<u8>, Option<bool>), PhaseLimit> {
    let reader = answer.chunks();
    let mut first = Vec::new();
    let is_stream = loop {
        let known = begins_as_events(&first, false);
        if known.is_some() {
            break known;
        }
        if first.len() > READ_BYTES {
            break Some(false);
        }
        let limit = limits.of(phase, clock.now());
        match until(clock, limit.at, reader.read(READ_BYTES)).await {
            Some(Ok(Some(piece))) => first.extend_from_slice(&piece),
            Some(Ok(None) | Err(_)) => break None,
            None => return Err(limit),
        }
    };
    reader.release();
    Ok((first, is_stream))
}

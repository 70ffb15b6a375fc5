//! What the Durable Object `DeploymentHealth` does, apart from its platform: it answers requests
//! with its [`StoredShard`], and reports to the hub beside them.
//!
//! Nothing waits between reading the shard and writing it, so every report is atomic.

use super::object_link::hub_of;
use super::object_reports::{AskError, ask_report};
use super::platform::{Clock, Objects, PlatformError};
use crate::health::shard::object_requests::ObjectAnswer;
use crate::health::shard::shard_store::{ShardStorage, StoredShard};
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Instant;

/// The platform of the object.
pub trait ObjectPlatform: ShardStorage<Error = PlatformError> + Clock + Objects {}

impl<T: ShardStorage<Error = PlatformError> + Clock + Objects> ObjectPlatform for T {}

/// Answers a request for a path. The path has no leading `/`.
///
/// # Errors
/// The storage failed.
pub fn answer<P: ObjectPlatform>(
    shard: &StoredShard<P>,
    path: &str,
    body: &str,
    rng: &mut dyn Rng,
) -> Result<ObjectAnswer, PlatformError> {
    let now = shard.storage().now();
    shard.with(now, rng, |shard, rng| shard.on_request(path, body, now, rng))
}

/// Reports to the hub of this pool what holds in all regions, and merges what the other regions
/// have reported.
///
/// # Errors
/// The storage failed, or the hub gave no valid answer.
pub async fn report_to_hub<P: ObjectPlatform>(
    shard: &StoredShard<P>,
    pool: &str,
    rng: &mut dyn Rng,
) -> Result<(), AskError> {
    let platform = shard.storage();
    let now = platform.now();
    let report = shard.with(now, rng, |shard, _| shard.report_to_hub(now)).map_err(AskError::Unreachable)?;
    let answer = ask_report(platform, &hub_of(pool), None, &report).await;
    let now = platform.now();
    let merged = shard.with(now, rng, |shard, _| match &answer {
        Ok(answer) => shard.merge_hub_answer(answer, now),
        Err(_) => shard.on_hub_failure(now),
    });
    merged.map_err(AskError::Unreachable)?;
    answer.map(drop)
}

/// Reports to the hub when a batch of counters should not wait any longer for the reports of
/// isolates, which may not come. Runs beside the request that made the batch, at most `until` then.
///
/// # Errors
/// The storage failed, or the hub gave no valid answer.
pub async fn flush_to_hub<P: ObjectPlatform>(
    shard: &StoredShard<P>,
    pool: &str,
    until: Instant,
    rng: &mut dyn Rng,
) -> Result<(), AskError> {
    let platform = shard.storage();
    loop {
        let now = platform.now();
        let at = shard.with(now, rng, |shard, _| shard.flush_at()).map_err(AskError::Unreachable)?;
        match at.filter(|at| *at <= until) {
            Some(at) if now < at => platform.sleep_until(at).await,
            Some(_) => report_to_hub(shard, pool, rng).await?,
            None => break,
        }
    }
    let ended = shard.with(platform.now(), rng, |shard, _| shard.counters_mut().outbox().end_flush(until));
    ended.map_err(AskError::Unreachable)
}

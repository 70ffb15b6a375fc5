//! What the Durable Object `DeploymentHealth` does, apart from its platform: it answers requests
//! with its [`StoredShard`], and reports to the hub beside them.
//!
//! Nothing waits between reading the shard and writing it, so every report is atomic.

use super::object_answer::AskError;
use super::object_link::hub_of;
use super::object_reports::ask_report;
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
    shard.answer(path, body, now, rng)
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

/// The end of an alarm.
#[derive(Debug)]
pub struct AlarmEnd {
    /// The time for which the alarm has to be set again.
    pub next_at: Option<Instant>,
    /// Whether the hub could be reached, if it was called.
    pub called: Result<(), AskError>,
}

/// The alarm of the object rings: a batch of counters does not wait any longer for the reports of
/// isolates, which may not come.
///
/// # Errors
/// The storage failed.
pub async fn on_alarm<P: ObjectPlatform>(
    shard: &StoredShard<P>,
    pool: &str,
    rng: &mut dyn Rng,
) -> Result<AlarmEnd, PlatformError> {
    let now = shard.storage().now();
    let is_due = shard.with(now, rng, |shard, _| shard.on_alarm(now))?;
    let called = if is_due { report_to_hub(shard, pool, rng).await } else { Ok(()) };
    let next_at = shard.with(shard.storage().now(), rng, |shard, _| shard.take_alarm())?;
    Ok(AlarmEnd { next_at, called })
}

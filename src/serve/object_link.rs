//! An isolate's link to the shard of its region, and the names of the Durable Objects.

use crate::geography::distance::location_hint;
use crate::health::reporter::Reporter;
use crate::vocabulary::facts::Place;
use crate::vocabulary::time::Instant;

/// The region name of the hub, which connects the shards of all regions.
const HUB: &str = "hub";

/// An isolate's link to its shard.
pub(super) struct ObjectLink {
    pub(super) objects: RegionObjects,
    pub(super) reporter: Reporter,
    /// When the first report was sent.
    pub(super) began_at: Instant,
    /// Whether the first report was answered, or the wait for it has ended.
    pub(super) is_settled: bool,
    /// Whether the latest report failed. Only the first failure in a row is logged.
    pub(super) is_down: bool,
}

/// The Durable Objects of a pool that an isolate uses: the shard of its region, and the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionObjects {
    pool: String,
    pub(super) region: &'static str,
}

impl RegionObjects {
    /// The Durable Objects for a Worker with this pool that runs at this place.
    pub(super) fn of(pool: String, place: &Place) -> Self {
        Self { pool, region: location_hint(place) }
    }

    /// The name of the region's shard.
    pub fn shard(&self) -> String {
        format!("{}/{}", self.pool, self.region)
    }

    /// The name of the hub.
    pub fn hub(&self) -> String {
        hub_of(&self.pool)
    }
}

/// The name of the hub of a pool.
pub fn hub_of(pool: &str) -> String {
    format!("{pool}/{HUB}")
}

/// The pool of the shard with this name. `None` for the hub.
///
/// # Errors
/// If the name is not `pool/region`.
pub fn pool_of_shard(name: &str) -> Result<Option<&str>, UnknownObject> {
    let (pool, region) = name.rsplit_once('/').ok_or(UnknownObject)?;
    Ok((region != HUB).then_some(pool))
}

/// A Durable Object whose name is not `pool/region`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownObject;

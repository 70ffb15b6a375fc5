//! An isolate's link to the object of its region, and how objects are called.

use crate::geography::distance::location_hint;
use crate::health::reporter::Reporter;
use crate::vocabulary::facts::Place;
use crate::vocabulary::time::Instant;

/// The region of the object that tells the other regions.
const HUB: &str = "hub";

/// An isolate's link to its object.
pub(super) struct ObjectLink {
    pub(super) objects: RegionObjects,
    pub(super) reporter: Reporter,
    /// When the first report went out.
    pub(super) began_at: Instant,
    /// Whether the first report was answered, or waited for long enough.
    pub(super) is_settled: bool,
    /// Whether the latest report failed: that is logged once.
    pub(super) is_down: bool,
}

/// The objects of a pool: that of a region, and the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionObjects {
    pool: String,
    pub(super) region: &'static str,
}

impl RegionObjects {
    /// The objects of a Worker with this pool that runs at that place.
    pub(super) fn of(pool: Option<String>, place: &Place) -> Self {
        Self { pool: pool.unwrap_or_else(|| "default".to_owned()), region: location_hint(place) }
    }

    /// The name of the region's object.
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

/// The pool of an object with this name, where the object is not the hub. `None` for the hub.
///
/// # Errors
/// Where the name is not one of ours.
pub fn pool_of_shard(name: &str) -> Result<Option<&str>, UnknownObject> {
    let (pool, region) = name.rsplit_once('/').ok_or(UnknownObject)?;
    Ok((region != HUB).then_some(pool))
}

/// An object whose name is not `pool/region`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownObject;

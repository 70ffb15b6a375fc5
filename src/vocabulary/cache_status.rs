//! What the cache of a node had for a request.

/// What the cache of the entry node had for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// The answer.
    Hit,
    /// Nothing.
    Miss,
    /// The request does not use it.
    Bypass,
}

impl CacheStatus {
    /// The value of the header `x-switchyard-cache`.
    pub fn header(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
            Self::Bypass => "BYPASS",
        }
    }

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

//! Drains of an administrator. A drain belongs to the name of a deployment, whatever its address
//! is, and not to its identity.
//!
//! A shard stores the drain of a name as a deployment of its own, with the identity [`name_key`].
//! So it is stored, numbered and shared like everything else. Older versions of the gateway drained
//! identities; such a drain still holds for that identity.

/// The key of the name in this identity (`NAME@ADDRESS`): `NAME@`.
pub fn name_key(identity: &str) -> String {
    format!("{}@", name_of(identity))
}

/// Whether both keys or identities belong to the same name.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    name_of(one) == name_of(other)
}

/// The name in an identity.
pub(super) fn name_of(identity: &str) -> &str {
    identity.rsplit_once('@').map_or(identity, |(name, _)| name)
}

/// Whether a deployment is drained, as far as an isolate knows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drains {
    /// By its name.
    name: bool,
    /// By its identity.
    identity: bool,
    /// The latest merged change of the name; 0: none.
    merged: u64,
}

impl Drains {
    /// Whether either holds.
    pub(super) fn hold(self) -> bool {
        self.name || self.identity
    }

    /// What a deployment of the same name with another address takes over.
    pub(super) fn inherited(self) -> Self {
        Self { name: self.hold(), identity: false, merged: self.merged }
    }

    /// An administrator has decided here.
    pub(super) fn set(&mut self, drained: bool) {
        (self.name, self.identity) = (drained, drained && self.identity);
    }

    /// Whether this change of the name was not merged yet.
    pub(super) fn is_new(self, change: u64) -> bool {
        change > self.merged
    }

    /// The shard knows this of the name.
    pub(super) fn merge_name(&mut self, change: u64, drained: bool) {
        if self.is_new(change) {
            (self.merged, self.name) = (change, drained);
        }
    }

    /// The shard knows nothing of the name.
    pub(super) fn forget_name(&mut self) {
        self.name = false;
    }

    /// The shard knows this of the identity.
    pub(super) fn merge_identity(&mut self, drained: bool) {
        self.identity = drained;
    }

    /// The shard has lost its history: whatever it says is new.
    pub(super) fn start_over(&mut self) {
        self.merged = 0;
    }
}

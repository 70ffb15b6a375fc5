//! The size of the subtree below a node.

/// Properties of the subtree below a node.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties of a node")]
pub(super) struct SubtreeSize {
    /// The number of nodes on the longest path down, this node included.
    pub(super) depth: usize,
    /// The number of paths from this node to deployments.
    pub(super) ways: usize,
    /// Whether a deployment that this node orders has a region.
    pub(super) has_region: bool,
    /// Whether a deployment that this node orders has a price.
    pub(super) has_price: bool,
    /// Whether this node or a node below has more than one target for a request.
    pub(super) has_choice: bool,
    /// Whether this node or a node that it leads to has the strategy `nearest`.
    pub(super) has_nearest: bool,
}

//! How much hangs below a node.

/// What hangs below a node.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "facts of a node, each on its own")]
pub(super) struct SubtreeSize {
    /// Nodes on the longest way down, this one included.
    pub(super) depth: usize,
    /// Ways from here to deployments.
    pub(super) ways: usize,
    /// Whether some deployment that this orders has a region.
    pub(super) has_region: bool,
    /// Whether some deployment that this orders has a price.
    pub(super) has_price: bool,
    /// Whether this or some node below has more than one target for a request.
    pub(super) has_choice: bool,
    /// Whether this or some node that it leads to orders by nearness.
    pub(super) has_nearest: bool,
}

//! The walk over the graph.

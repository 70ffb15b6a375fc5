//! From a path to an operation.

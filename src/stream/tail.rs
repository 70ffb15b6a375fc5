//! How a committed stream ended.

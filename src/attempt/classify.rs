//! From an upstream's answer to a failure.

//! What events mean.

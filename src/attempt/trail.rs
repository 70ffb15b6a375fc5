//! What was tried, and how it went.

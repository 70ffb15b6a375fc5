//! Time as an argument. Nothing outside `src/edge` reads a clock.

/// Milliseconds: a point in time since the Unix epoch, or a length of time. Which of the two it is, the name says:
/// points are called `now`, `…_at` or `deadline`; lengths end in `_ms`.
pub type Millis = u64;

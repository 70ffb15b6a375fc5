//! The outcomes of requests and attempts that are no error.

/// It was served to its end.
pub const OK: &str = "ok";
/// A drill answered the attempt.
pub const DRILL: &str = "drill";
/// The client left before the end of the answer.
pub const CLIENT_LEFT: &str = "client_left";

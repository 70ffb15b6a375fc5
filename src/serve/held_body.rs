//! The bytes of a request's body, as long as an attempt may need them.

use super::platform::Platform;

/// The body of a request that the platform holds. Dropping it frees the bytes, at every end of the
/// request: after its last attempt, when the body is refused, and when the client leaves.
pub struct HeldBody<P: Platform>(P);

impl<P: Platform> HeldBody<P> {
    /// The body of this request, before it is read.
    pub fn of(platform: &P) -> Self {
        Self(platform.clone())
    }
}

impl<P: Platform> Drop for HeldBody<P> {
    fn drop(&mut self) {
        self.0.release_body();
    }
}

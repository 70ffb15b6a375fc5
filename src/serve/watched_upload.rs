//! Sends a body that is too large to buffer, and reads it on its way.
//!
//! How fast the body comes is not up to the deployment. So the limits of an attempt, and what is
//! learned about the deployment, begin at the end of the upload.

use std::rc::Rc;

use super::committed::READ_BYTES;
use super::platform::{ByteReader, ClientStream, PlatformCall};
use crate::request::body_watch::{BodyFault, BodyWatch};

/// Writes the first bytes and then the rest. Ends the call before a piece that must not be sent:
/// the upstream does not get a complete body then. [`BodyWatch::error`] says why. If it is dropped,
/// no more of the body is read.
pub async fn carry<C: PlatformCall>(
    call: C,
    upload: C::Upload,
    first: Vec<u8>,
    rest: impl ByteReader,
    watch: Rc<BodyWatch>,
) {
    let rest = CancelOnDrop(rest);
    if let Err(UploadEnd::Refused) = send(&upload, first, &rest.0, &watch).await {
        call.abort();
    }
}

/// The unread rest of a body. Nobody reads it after this is dropped.
struct CancelOnDrop<R: ByteReader>(R);

impl<R: ByteReader> Drop for CancelOnDrop<R> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Why an upload ended early.
enum UploadEnd {
    /// The body must not be sent to its end.
    Refused,
    /// Nobody reads the upload any more.
    CallEnded,
}

impl From<BodyFault> for UploadEnd {
    fn from(_: BodyFault) -> Self {
        Self::Refused
    }
}

async fn send(
    upload: &impl ClientStream,
    first: Vec<u8>,
    rest: &impl ByteReader,
    watch: &BodyWatch,
) -> Result<(), UploadEnd> {
    let mut piece = first;
    loop {
        upload.send(&piece).await.map_err(|_| UploadEnd::CallEnded)?;
        piece = match rest.read(READ_BYTES).await {
            Err(_) => return Err(watch.fail(BodyFault::BrokeOff).into()),
            Ok(Some(piece)) => piece,
            Ok(None) => break,
        };
        watch.read(&piece)?;
    }
    watch.end()?;
    upload.close().await.map_err(|_| UploadEnd::CallEnded)
}

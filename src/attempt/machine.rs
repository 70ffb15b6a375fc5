//! The machine of one request.

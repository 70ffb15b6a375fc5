//! The model part of a multipart body.

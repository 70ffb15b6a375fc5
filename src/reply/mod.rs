//! What the client receives: headers, errors, the list of models.

pub mod cors;
pub mod exhausted;
pub mod masks;
pub mod models;
pub mod response_headers;

//! What is wrong with a deployment, in the terms of its provider.
//!
//! [`question`] says what to ask of a deployment: something small, built like the requests that are
//! served. [`diagnosis`] finds in the answer what is wrong and what helps. Nothing is sent from
//! here, and none of it is in the Worker.

pub mod diagnosis;
mod error_text;
mod finding_table;
pub mod question;

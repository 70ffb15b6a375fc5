//! What is wrong with a deployment, in the terms of its provider.
//!
//! [`question`] says what to ask of a deployment: something small, built like the requests that are
//! served. `diagnosis` finds in the answer what is wrong and what helps; it is never in the Worker.
//! Nothing is sent from here.

#[cfg(not(target_arch = "wasm32"))]
pub mod diagnosis;
#[cfg(not(target_arch = "wasm32"))]
mod error_text;
#[cfg(not(target_arch = "wasm32"))]
mod finding_table;
pub mod question;

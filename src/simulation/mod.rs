//! A simulation of the whole system on a virtual clock.
//!
//! Hundreds of isolates in several regions serve requests for minutes of virtual time, in whatever weather: the [`world`]. What happened
//! is a [`log`], from which everything is counted ([`measure`]); a [`scenario`] says what is simulated and what is promised of it.
//!
//! Nothing here reads a clock or makes entropy: a run is repeated exactly by its seed. It exists natively alone.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "statistics of numbers far below 2^53"
)]

pub mod chance;
pub mod crowd;
pub mod event_queue;
pub mod log;
pub mod measure;
pub mod print;
pub mod promise;
pub mod scenario;
pub mod scenarios;
pub mod setup;
pub mod simulated_upstream;
pub mod world;

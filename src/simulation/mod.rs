//! A simulation of the whole system on a virtual clock.
//!
//! Hundreds of isolates in several regions serve requests for minutes of virtual time, under any
//! conditions: this is the [`world`]. Its events are in a [`log`], and all measurements come from
//! the log ([`measure`]). A [`scenario`] defines what is simulated and which bounds the
//! measurements should respect.
//!
//! Nothing here reads a clock or uses entropy, so a seed repeats a run exactly. The simulation is
//! built only for native targets.

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

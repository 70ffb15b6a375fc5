//! Where regions and data centres are, how far apart they are, and where a Durable Object should
//! run.

pub mod distance;
mod places;

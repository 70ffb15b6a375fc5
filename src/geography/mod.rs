//! Where regions and data centres are, how far it is between them, and where a Durable Object lives.

pub mod distance;
mod places;

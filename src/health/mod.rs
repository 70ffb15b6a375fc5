//! What isolates learn about deployments, and who gets traffic because of it.
//!
//! [`Health`] keeps, for each deployment of a graph: a [`gate`] that ejects it and lets it back; the signals that trip the gate
//! ([`accrual`]); averages of its speed ([`ewma`]); and how much more it can take ([`headroom`]). An attempt asks for
//! [`Health::admission`], announces itself with [`Health::begin`], and ends with [`Health::record`]:
//!
//! ```
//! use switchyard::vocabulary::error_class::ErrorClass;
//! use switchyard::health::gate::Admission;
//! use switchyard::routes::graph::RateLimits;
//! use switchyard::health::{Health, Outcome, Sample};
//! use switchyard::vocabulary::operation::Operation::ChatCompletions;
//! use switchyard::vocabulary::rng::SplitMix64;
//! use switchyard::vocabulary::time::{Instant, Millis};
//!
//! let mut health = Health::new([("openai@1", RateLimits::default())]);
//! let (mut rng, now) = (SplitMix64::new(1), Instant::from_epoch_ms(1_767_225_600_000));
//! assert_eq!(health.admission(0, ChatCompletions, now), Admission::Open);
//! let ticket = health.begin(0, ChatCompletions, 1_200, now);
//! let hint_ms = Some(Millis::new(20_000));
//! let outcome = Outcome::Failed { class: ErrorClass::RateLimit, hint_ms };
//! let later = now + Millis::new(80);
//! let changes = health.record(ticket, &Sample::of(outcome), later, &mut rng);
//! assert_eq!(changes[0].to_string(), "0 is out: rate limited; it asked to be left alone for 20000 ms");
//! assert!(matches!(health.admission(0, ChatCompletions, later), Admission::Refused(_)));
//! ```
//!
//! Isolates tell each other through a [`shard`], which lives in one place of each region; a [`reporter`] is an isolate's end of
//! that, and [`wire`] is what they say. Facts that hold everywhere go from shard to shard through a hub, which is one more shard.
//! An isolate acts on what it sees at once and by itself; it serves on as well when nobody answers.
//!
//! Everything is plain data: no clock, no chance of its own, no I/O. Nothing waits. Deployments that are not known (an
//! `id` of another graph) are open and have no signals.

pub mod accrual;
mod change;
pub mod ewma;
mod exchange;
pub mod gate;
pub mod headroom;
pub mod in_flight;
mod isolate_health;
pub mod local_usage;
mod pending;
pub mod reason;
pub mod reporter;
pub mod retry_budget;
pub mod ring;
mod sample;
pub mod shard;
mod sharing;
mod ticket;
mod times;
mod tolerant;
mod tracked_deployment;
pub mod window;
pub mod wire;

pub use change::GateChange;
pub use isolate_health::Health;
pub use sample::{Outcome, Sample};
pub use ticket::Ticket;
pub use tracked_deployment::{LastError, Snapshot};

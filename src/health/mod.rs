//! What isolates learn about deployments, and how this directs traffic.
//!
//! [`Health`] has, for each deployment of a graph: a [`gate`] that ejects it and readmits it; the
//! signals that trip the gate ([`accrual`]); averages of its speed ([`ewma`]); and how much more it
//! can take ([`headroom`]). [`judgement`] decides what an outcome means. An attempt asks for
//! [`Health::admission`], starts with [`Health::begin`], and ends with [`Health::record`]:
//!
//! ```
//! use switchyard::vocabulary::error_class::ErrorClass;
//! use switchyard::health::gate::Admission;
//! use switchyard::routes::graph::RateLimits;
//! use switchyard::health::{AnswerKind, Health, Outcome, Sample};
//! use switchyard::vocabulary::operation::Operation::ChatCompletions;
//! use switchyard::vocabulary::rng::SplitMix64;
//! use switchyard::vocabulary::time::{Instant, Millis};
//!
//! let mut health = Health::new([("openai@1", RateLimits::default())]);
//! let (mut rng, now) = (SplitMix64::new(1), Instant::from_epoch_ms(1_767_225_600_000));
//! assert_eq!(health.admission(0, ChatCompletions, now), Admission::Open);
//! let ticket = health.begin(0, ChatCompletions, AnswerKind::Stream, 1_200, now);
//! let hint_ms = Some(Millis::new(20_000));
//! let outcome = Outcome::failed(ErrorClass::RateLimit, hint_ms);
//! let later = now + Millis::new(80);
//! let changes = health.record(ticket, &Sample::of(outcome), later, &mut rng);
//! let reason = "rate limited; it asked to be left alone for 20000 ms";
//! assert_eq!(changes[0].to_string(), format!("0 is out until 2026-01-01T00:00:20Z: {reason}"));
//! assert!(matches!(health.admission(0, ChatCompletions, later), Admission::Refused(_)));
//! ```
//!
//! Isolates share what they learn through a [`shard`], which runs in one place of each region. A
//! [`reporter`] is the isolate's side of this exchange, and [`wire`] defines the messages. Facts
//! that hold everywhere go from shard to shard through a hub, which is another shard. An isolate
//! acts on its own observations at once. It also works if no shard answers.
//!
//! Everything is plain data: no clock, no random source, no I/O, no waiting. Unknown deployments
//! (an `id` of another graph) are open and have no signals.

pub mod accrual;
pub mod alert_subject;
pub mod answer_kind;
mod change;
pub mod drains;
pub mod ewma;
mod exchange;
pub mod gate;
pub mod headroom;
pub mod in_flight;
mod isolate_health;
pub mod judgement;
pub mod local_usage;
mod pending;
pub mod reason;
pub mod recent_records;
pub mod reporter;
#[cfg(not(target_arch = "wasm32"))]
mod restored;
pub mod retry_budget;
pub mod ring;
mod sample;
pub mod shard;
mod sharing;
mod ticket;
pub mod timed_fault;
mod times;
mod tolerant;
mod tracked_deployment;
pub mod window;
pub mod wire;

pub use answer_kind::AnswerKind;
pub use change::GateChange;
pub use isolate_health::Health;
pub use sample::{Outcome, Sample};
pub use ticket::Ticket;
pub use tracked_deployment::{LastError, Snapshot};

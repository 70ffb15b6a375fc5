//! Serving a request, from its arrival to the last byte of the answer.
//!
//! This is all that the Worker does, except for the platform itself: the code here is generic over
//! [`platform::Platform`], so that it runs natively against fakes, in virtual time.
//!
//! - [`front`]: what each path gets; [`admin`]: the admin API;
//! - [`receive`]: the request's body is read, its facts are gathered, its entry into the graph is chosen;
//! - [`drive`]: the loop that obeys the machine, with `hedging` for two attempts at once;
//! - [`upstream_attempt`]: one attempt, up to its commit point; [`answer`]: how its answer is handled;
//! - [`flow`]: a committed stream on its way to the client;
//! - [`isolate_memory`], [`serving`]: what outlives a request;
//! - [`routes_document`]: which document serves; [`object_reports`]: what is shared about health.

pub mod admin;
pub mod answer;
pub mod client_reply;
pub mod committed;
pub mod completion;
pub mod drive;
pub mod flow;
pub mod front;
mod hedging;
pub mod isolate_memory;
pub mod object_link;
pub mod object_reports;
mod owners;
pub mod platform;
pub mod receive;
pub mod request_body;
pub mod routes_document;
pub mod serving;
mod timing;
pub mod upstream_attempt;

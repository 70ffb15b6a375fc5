//! Switchyard: an LLM gateway at Cloudflare's edge.
//!
//! It offers clients one OpenAI-compatible endpoint in front of Azure OpenAI deployments and OpenAI
//! accounts. For each request it decides which deployment serves, and what happens when that one
//! fails.
//!
//! The modules, from the ground floor up. A module imports only modules of lower floors;
//! `tests/structure` checks it.
//!
//! Ground floor, which imports nothing:
//! - [`scan`]: JSON readers that work on bytes;
//!
//! The terms that all other modules use:
//! - [`vocabulary`]: time, headers, operation, facts, usage, error class, client error;
//! - [`geography`]: regions, data centres, distances;
//! - [`usage`]: what answers used, reported or estimated, and what that costs;
//! - [`counters`]: what is added up about finished requests;
//! - [`signature`]: signatures of webhooks;
//! - [`alerting`]: alerts for webhooks, and which of them wait to be taken;
//! - [`keys`]: keys that the gateway issues: their form, their records, and what an isolate knows
//!   of them;
//!
//! Configuration and incoming requests:
//! - [`routes`]: the routes document, parsed and compiled into a graph;
//! - [`request`]: what the client asks for: paths, bodies, credentials;
//! - [`health`]: what isolates learn about deployments, alone and together, and how much traffic
//!   each deployment gets because of it;
//! - [`limits`]: what clients may spend, shared by many isolates without a wait per request;
//! - [`registry`]: the versions of the routes document, and what administrators did;
//! - [`upstream`]: how each provider is called;
//! - [`balance`]: the order in which a node's targets are tried;
//!
//! Handling of one request:
//! - [`entry`]: the node at which it enters the graph;
//! - [`attempt`]: the state machine that runs its attempts, and the classification of failures;
//! - [`stream`]: server-sent events: when an answer may be sent, and whether it ended well;
//! - [`reply`]: what the client receives: headers, errors, the list of models;
//! - [`telemetry`]: the record of a request, and its views;
//! - [`explain`]: what would happen to a request, and why;
//! - `drawing`: pictures of a routes document; never in the Worker;
//! - [`doctor`]: what is wrong with a deployment, and what helps; in the Worker only the questions;
//!
//! Serving:
//! - [`serve`]: the path of a request from its arrival to the last byte of its answer, on any
//!   platform;
//!
//! Drivers of all of it:
//! - `simulation`: many isolates, regions and outages on a virtual clock; never in the Worker;
//! - `edge`: the Worker. It exists only on wasm32, it alone uses the platform, and it decides
//!   nothing.

pub mod alerting;
pub mod attempt;
pub mod balance;
pub mod counters;
pub mod doctor;
#[cfg(not(target_arch = "wasm32"))]
pub mod drawing;
#[cfg(target_arch = "wasm32")]
mod edge;
pub mod entry;
pub mod explain;
pub mod geography;
pub mod health;
pub mod keys;
pub mod limits;
pub mod registry;
pub mod reply;
pub mod request;
pub mod routes;
pub mod scan;
pub mod serve;
pub mod signature;
#[cfg(not(target_arch = "wasm32"))]
pub mod simulation;
pub mod stream;
pub mod telemetry;
pub mod upstream;
pub mod usage;
pub mod vocabulary;

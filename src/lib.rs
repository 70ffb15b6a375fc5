//! Switchyard: an LLM gateway at Cloudflare's edge.
//!
//! One OpenAI-compatible endpoint in front of Azure OpenAI deployments and OpenAI accounts. Per request it decides which of
//! them serves, and what happens when that one fails.
//!
//! The modules from the ground floor up. Each imports modules of lower floors alone; `tests/structure` checks it.
//!
//! Ground floor, which imports nothing:
//! - [`scan`]: readers of JSON that work on bytes;
//!
//! The words that everything else speaks:
//! - [`vocabulary`]: time, headers, operation, facts, error class, client error;
//! - [`geography`]: regions, data centres, distances;
//!
//! What is configured, and what arrives:
//! - [`routes`]: the routes document, parsed and compiled into a graph;
//! - [`request`]: what the client wants: paths, bodies, credentials;
//! - [`health`]: what isolates learn about deployments, alone and together, and who gets traffic because of it;
//! - [`upstream`]: how each provider wants to be called;
//! - [`balance`]: the order in which a node's targets are tried;
//!
//! What becomes of a request:
//! - [`entry`]: where it enters the graph;
//! - [`attempt`]: the machine that runs it, and how failures are classified;
//! - [`stream`]: server-sent events: when an answer may start to flow, and whether it ended well;
//! - [`reply`]: what the client gets: headers, errors, the list of models;
//!
//! Who serves it:
//! - [`serve`]: the way of a request from its arrival to the last byte of its answer, on any platform;
//!
//! Who drives all of it:
//! - `simulation`: many isolates, regions and bad weather on a virtual clock; never in the Worker;
//! - `edge`: the Worker, which only obeys the rest. It exists on wasm32 alone, and alone sees the platform.

pub mod attempt;
pub mod balance;
#[cfg(target_arch = "wasm32")]
mod edge;
pub mod entry;
pub mod geography;
pub mod health;
pub mod reply;
pub mod request;
pub mod routes;
pub mod scan;
pub mod serve;
#[cfg(not(target_arch = "wasm32"))]
pub mod simulation;
pub mod stream;
pub mod upstream;
pub mod vocabulary;

//! Switchyard: an LLM gateway at Cloudflare's edge.
//!
//! One OpenAI-compatible endpoint in front of Azure OpenAI deployments and OpenAI accounts. Per request it decides which of
//! them serves, and what happens when that one fails.
//!
//! The modules in reading order, which is the way of a request:
//!
//! - [`routes`]: the routes document, parsed and compiled into a graph;
//! - [`request`]: what the client wants: paths, bodies, credentials, the facts that rules read;
//! - [`balance`]: the order in which a node's targets are tried;
//! - [`health`]: what isolates learn about deployments, alone and together, and who gets traffic because of it;
//! - [`attempt`]: the machine that runs one request, and the classes of failure that drive it;
//! - [`surroundings`]: what the core needs from outside at each step: time, chance, memory;
//! - [`headers`]: headers, as they cross between the host and the core;
//! - [`upstream`]: how each provider wants to be called;
//! - [`stream`]: server-sent events: when an answer may start to flow, and whether it ended well;
//! - [`reply`]: what the client gets: headers, errors, the list of models;
//! - `needle`: members of JSON that are looked for in bytes;
//! - `simulation`: all of it on a virtual clock, with many isolates, regions and bad weather; never in the Worker;
//! - `edge`: the Worker, which only obeys the rest. It exists on wasm32 alone, and alone sees the platform.

pub mod attempt;
pub mod balance;
#[cfg(target_arch = "wasm32")]
mod edge;
pub mod headers;
pub mod health;
mod needle;
pub mod reply;
pub mod request;
pub mod rng;
pub mod routes;
#[cfg(not(target_arch = "wasm32"))]
pub mod simulation;
pub mod stream;
pub mod surroundings;
pub mod time;
pub mod upstream;

//! Serves a request, from its arrival to the last byte of the answer.
//!
//! This is everything that the Worker does, except for the platform itself. The code is generic
//! over [`platform::Platform`], so it also runs natively against fakes, in virtual time.
//!
//! - [`front`]: chooses the reply by the path; [`admin`]: the admin API; [`explained`]: where a
//!   request would go; `deployment_question`: what a deployment answers to something small;
//! - [`receive`]: reads the body, gathers the facts and chooses the entry node;
//! - [`drive`]: the loop that executes the machine's actions, with `hedging` for two attempts at
//!   once;
//! - [`upstream_attempt`]: one attempt, up to its commit point; [`answer`]: how its answer is
//!   handled; `watched_upload`: a body that is read while it is sent;
//! - `cached`: an answer that was kept; `answer_keeper`: how one is kept; [`flight`]: one request
//!   for all that are equal;
//! - [`flow`]: a committed stream that flows to the client;
//! - [`isolate_memory`], [`serving`]: the state between requests;
//! - [`routes_document`]: which document serves; [`object_reports`]: how isolates share health;
//!   `alerts`: what they send to webhooks; [`health_object`]: the Durable Object through which they
//!   do; `registry_link` and `routes_change`: versions of the document, and changes by the admin
//!   API; `canary_serving`: two versions side by side, with [`canary_writes`] and
//!   `canary_alerts` for the registry; [`limiting`]: what clients may use;
//!   `counting`: what is counted of finished requests, and `metrics`: how it is shown.

pub mod account;
pub mod admin;
mod admin_body;
mod admin_caller;
mod alerts;
pub mod answer;
mod answer_keeper;
mod cached;
mod canary_alerts;
mod canary_serving;
mod canary_state;
pub mod canary_writes;
pub mod charges;
pub mod client_reply;
pub mod committed;
pub mod completion;
mod counting;
mod daily_usage;
mod deployment_question;
mod drill_request;
pub mod drive;
mod entra_tokens;
pub mod explain_request;
pub mod explained;
pub mod fact_source;
mod faulty_call;
pub mod first_bytes;
pub mod flight;
pub mod flow;
pub mod front;
pub mod health_object;
mod hedging;
mod held_body;
mod identity;
pub mod isolate_memory;
pub mod issued_key;
mod key_admin;
mod key_usage;
mod key_writes;
mod ledger_link;
mod limit_headers;
mod limit_usage;
pub mod limiting;
mod metering;
mod metrics;
pub mod object_answer;
pub mod object_link;
mod object_note;
pub mod object_reports;
mod own_objects;
mod owners;
pub mod platform;
mod presented_credential;
pub mod receive;
mod recent_requests;
pub mod registry_host;
mod registry_link;
pub mod request_body;
mod routes_change;
pub mod routes_document;
pub mod serving;
mod shared_orders;
mod stored_secrets;
mod timed_faults;
mod timing;
pub mod upstream_attempt;
mod watched_upload;

//! Keys that the gateway issues for the clients of the routes document.
//!
//! Only the hash of a key is stored, and the key is shown once. The record of a key is in KV under
//! its hash, where isolates read it; the registry has the list.
//!
//! - [`key_format`]: the form of keys, and their hashes;
//! - [`key_record`]: what is stored of a key;
//! - [`key_cache`]: what an isolate knows of keys, and when it may read one;
//! - [`key_uses`]: which keys were used, until the registry knows it.

pub mod key_cache;
pub mod key_format;
pub mod key_record;
pub mod key_uses;

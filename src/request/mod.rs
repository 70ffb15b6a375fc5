//! What the client wants.

pub mod admin;
pub mod body;
pub mod credentials;
pub mod entry;
pub mod excerpt;
pub mod facts;
pub mod minted;
pub mod multipart;
pub mod operation;
pub mod path;
pub mod percent;
pub mod plain;
pub mod query;
pub mod scan;
pub mod splice;
pub mod stored;

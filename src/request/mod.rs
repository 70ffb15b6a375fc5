//! What the client asks for: paths, bodies, credentials.

pub mod access_keys;
pub mod access_token;
pub mod admin_path;
pub mod api_path;
pub mod body_needs;
pub mod body_watch;
pub mod credentials;
pub mod excerpt;
pub mod fault_header;
pub mod fault_request;
pub mod form_watch;
pub mod json_body;
pub mod key_request;
pub mod multipart;
pub mod percent;
pub mod query;
pub mod splice;
pub mod stored_object;

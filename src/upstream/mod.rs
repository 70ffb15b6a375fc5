//! How each provider wants to be called.

pub mod ai_gateway;
pub mod azure;
pub mod headers;
pub mod openai;

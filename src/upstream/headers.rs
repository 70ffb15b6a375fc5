//! Which headers cross the gateway.

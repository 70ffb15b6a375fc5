//! How far it is from a client to a deployment.

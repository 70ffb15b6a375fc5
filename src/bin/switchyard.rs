//! The native companion of the Worker.

fn main() {}

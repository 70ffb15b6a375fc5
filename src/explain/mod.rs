//! What would happen to a request, and why.
//!
//! [`course`] runs the machine of the request, lets every attempt fail, and collects what the walk
//! notes meanwhile. So it shows what the machine does, and decides nothing itself.

pub mod course;
mod course_builder;
pub mod course_view;

//! What answers used, and what that costs.
//!
//! - [`reported`]: the usage that a provider reports, in an answer or in an event of a stream;
//! - [`basis`]: what a request says about its usage, and the estimate for answers that report none;
//! - [`answer_end`]: the end of an answer that is too long to be held;
//! - [`price`]: the price of a deployment, in integers.

pub mod answer_end;
pub mod basis;
pub mod price;
pub mod reported;

//! The promises of a run: bounds for measured numbers, and whether the numbers respect them.

use std::fmt::{Display, Formatter};

/// A measured number and its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// The description of the number.
    pub what: String,
    /// The measured number.
    pub measured: f64,
    /// The bound that it should respect.
    pub bound: Bound,
}

/// A bound of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Promise {
    /// Whether the number respects its bound. NaN respects no bound.
    pub fn is_kept(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.measured <= most,
            Bound::AtLeast(least) => self.measured >= least,
        }
    }
}

impl Display for Promise {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { what, measured, bound } = self;
        write!(formatter, "{what}: {} ({bound})", short(*measured))
    }
}

impl Display for Bound {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(formatter, "at most {}", short(*most)),
            Self::AtLeast(least) => write!(formatter, "at least {}", short(*least)),
        }
    }
}

/// A number with at most three decimal places, without zeros at the end.
pub fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A list of promises that is built step by step.
#[derive(Debug, Default)]
pub struct Promises(Vec<Promise>);

impl Promises {
    /// Adds the promise that the number is at most `most`.
    pub fn at_most(&mut self, what: impl Into<String>, measured: f64, most: f64) {
        self.0.push(Promise { what: what.into(), measured, bound: Bound::AtMost(most) });
    }

    /// Adds the promise that the number is at least `least`.
    pub fn at_least(&mut self, what: impl Into<String>, measured: f64, least: f64) {
        self.0.push(Promise { what: what.into(), measured, bound: Bound::AtLeast(least) });
    }

    /// All promises.
    pub fn all(self) -> Vec<Promise> {
        self.0
    }
}

//! What is promised of a run, and whether it was kept.

use std::fmt::{Display, Formatter};

/// A number that a run should keep to.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// What the number is.
    pub what: String,
    /// The number.
    pub measured: f64,
    /// What it should keep to.
    pub bound: Bound,
}

/// What a number should keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Promise {
    /// Whether the number keeps to it. What is no number keeps to nothing.
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

/// Three digits behind the point, and no zeros at the end.
pub fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Promises in the making.
#[derive(Debug, Default)]
pub struct Promises(Vec<Promise>);

impl Promises {
    /// The number is to be no more than that.
    pub fn at_most(&mut self, what: impl Into<String>, measured: f64, most: f64) {
        self.0.push(Promise { what: what.into(), measured, bound: Bound::AtMost(most) });
    }

    /// The number is to be no less than that.
    pub fn at_least(&mut self, what: impl Into<String>, measured: f64, least: f64) {
        self.0.push(Promise { what: what.into(), measured, bound: Bound::AtLeast(least) });
    }

    /// All of them.
    pub fn all(self) -> Vec<Promise> {
        self.0
    }
}

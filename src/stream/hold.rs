//! Holding an answer back until it is worth committing to.

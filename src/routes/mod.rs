//! The routes document: JSON in, a compiled graph or a list of everything that is wrong with it out.
//!
//! `raw` holds the document as users write it (and gives `routes.schema.json`), `compile` turns it into the `graph`, and `issue`
//! says what was wrong. Raw types never leave this module.

pub mod compile;
pub mod glob;
pub mod graph;
pub mod issue;
pub mod when;

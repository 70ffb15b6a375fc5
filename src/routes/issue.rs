//! What is wrong with a routes document: where, what was found, what was expected.

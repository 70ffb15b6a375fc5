//! How long an upstream asks to be left alone.

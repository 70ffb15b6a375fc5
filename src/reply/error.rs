//! Errors of our own, in OpenAI's shape.

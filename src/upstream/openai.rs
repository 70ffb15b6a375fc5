//! OpenAI and whatever is compatible.

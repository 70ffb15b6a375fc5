//! Peeking into a JSON body and editing it by splicing bytes.

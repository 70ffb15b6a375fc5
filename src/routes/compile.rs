//! From the document to the graph.

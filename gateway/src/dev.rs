//! What a development hub generates on its first start.

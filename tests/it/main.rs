//! Integration tests, one binary, a file a feature.

mod structure;

//! The assembled services.

//! One HTTPS connection.

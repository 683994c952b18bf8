//! The service API.

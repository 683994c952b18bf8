//! What an operator sees of a running hub: logs, metrics, health.

pub(crate) mod metrics;

pub(crate) use metrics::{Metrics, Protocol};

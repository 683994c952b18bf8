//! What an operator sees of a running hub: logs, metrics, health.

pub(crate) mod exposition;
pub(crate) mod health;
pub(crate) mod metrics;

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;
pub(crate) use metrics::{Metrics, Protocol};

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info";

/// Starts logging to standard error. To be called once, by `main`.
pub(crate) fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
